/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accidents with Pinfold's own objects, on any target that has what they need.
 */
#ifndef BPF_GUARD_H
#define BPF_GUARD_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

#define GUARD_BPFFS "/sys/fs/bpf"
/* Nobody's cgroup. */
#define GUARD_CGROUP "/sys/fs/cgroup/pf-guard"
/* Names of pins: a hash with keys of 8 bytes, an egress program and its link. */
#define GUARD_HASH "pf_cgroups"
#define GUARD_PROG "pf_egress"

struct guard_target {
	__u32 map, sockhash, ring; /* ids */
	__u32 prog, verdict, link;
	char dir[64];	 /* has maps/, progs/, links/ */
	char bpffs[64];	 /* where it is mounted */
	char parent[64]; /* the mount that this is on */
	char cgroup[64]; /* the link's; has an empty child of this name: "empty" */
};

struct guard_attempt {
	const char *name;
	int (*fn)(const struct guard_target *t); /* 0 or -errno */
	int past;				 /* besides 0: what it gives when nothing guards */
	bool needs_pins;			 /* nothing can be found any more where it worked */
};

extern const struct guard_attempt guard_attempts[];
extern const size_t n_guard_attempts;

/* guard_more.c: attempts, as in struct guard_attempt. */
int guard_try_take_batch(const struct guard_target *t);
int guard_try_common(const struct guard_target *t);
int guard_try_tracepoint(const struct guard_target *t);
int guard_try_attach(const struct guard_target *t);
int guard_try_update_other(const struct guard_target *t);
int guard_try_bind(const struct guard_target *t);
int guard_try_associate_map(const struct guard_target *t);
int guard_try_associate_prog(const struct guard_target *t);
int guard_try_rename_into(const struct guard_target *t);
int guard_try_link_into(const struct guard_target *t);
int guard_try_rmdir_pins(const struct guard_target *t);
int guard_try_touch(const struct guard_target *t);
int guard_try_rmdir_slice(const struct guard_target *t);
int guard_try_mount_over_parent(const struct guard_target *t);
int guard_try_move_over(const struct guard_target *t);
int guard_try_move_away(const struct guard_target *t);

/* Nothing that the guard is to refuse; the first in a process that ends afterwards. */
int guard_try_interface(const struct guard_target *t);
int guard_try_make_writable(const struct guard_target *t);

/* A descriptor of a program of nobody's that returns value. */
int guard_own_prog(enum bpf_prog_type type, enum bpf_attach_type attach, int value);

#endif
