/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user-space side of the BPF programs: probe the kernel, load and pin or adopt, put labels on
 * tasks, publish sessions, read marks, counters and the audit ring. The only user of the skeleton.
 *
 * All functions return 0 (or a count) or -errno; ret_ parameters stay untouched on failure. A
 * struct kern belongs to one thread. Session ids are the kernel's: the inode number of the
 * session's cgroup directory. Nothing here logs above debug.
 */
#ifndef KERN_KERN_H
#define KERN_KERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#include <pinfold/abi.h>
#include <pinfold/event.h>
#include <pinfold/guard.h>
#include <pinfold/policy.h>
#include <pinfold/session.h>

#include "base/cleanup.h"

/* Room for a reason that a caller may show to an operator. */
#define KERN_TEXT_MAX 512

enum kern_check_id {
	KERN_CHECK_RELEASE,	  /* 6.1 or newer, x86-64 */
	KERN_CHECK_BTF,		  /* /sys/kernel/btf/vmlinux */
	KERN_CHECK_LSM,		  /* bpf in /sys/kernel/security/lsm */
	KERN_CHECK_CGROUP2,	  /* cgroup v2 at /sys/fs/cgroup */
	KERN_CHECK_BPFFS,	  /* bpffs at /sys/fs/bpf */
	KERN_CHECK_SECURITY_PATH, /* the path hooks are called (CONFIG_SECURITY_PATH) */
	KERN_CHECK_HOOKS,	  /* which optional hooks this kernel has */
	KERN_CHECK_SOCKMAP,	  /* redirection works and wakes its reader */
	KERN_CHECKS,
};

enum kern_state {
	KERN_OK,
	KERN_DEGRADED, /* works, something optional is missing; text says what it costs */
	KERN_MISSING,  /* cannot enforce; text says how to turn it on */
};

struct kern_check {
	const char *name; /* for people; static */
	enum kern_state state;
	char text[KERN_TEXT_MAX];
};

enum kern_road {
	KERN_ROAD_PLAIN, /* TCP over loopback */
	KERN_ROAD_FAST,	 /* sk_msg redirection within the credit */
};

struct kern_report {
	char release[65];
	bool can_enforce; /* no check is KERN_MISSING */
	enum kern_road road;
	struct kern_check checks[KERN_CHECKS];
};

/*
 * Find out what this kernel can do. Needs CAP_SYS_ADMIN for the BPF and sockmap checks; without it
 * those are KERN_MISSING with that reason. Loads nothing that stays. Fails only with -ENOMEM.
 */
int kern_probe(struct kern_report *ret) __must_check;

struct kern;

/*
 * Become admin (the calling process' thread, and what it forks from then on), then load, attach and
 * pin everything under PF_PIN_DIR, or adopt what is pinned there. slice is the path of
 * pinfold.slice's directory, which must exist: the cgroup programs hang on it. Adopting programs of
 * another build of the same ABI attaches the new ones before the old links go.
 *
 * On failure nothing new stays loaded, and err (KERN_TEXT_MAX bytes, may be NULL) says why and what
 * to do: -EPROTO another ABI version is pinned, -EOPNOTSUPP the kernel cannot enforce, -EPERM no
 * rights or called from inside a session, others from the kernel.
 *
 * Sockets and children made after this call carry the admin label; a gate can connect to such
 * sockets only. Make the gates' listening socket after it.
 */
int kern_open(struct kern **ret, const char *slice, char *err) __must_check;

/* Free the handle. What is pinned stays in force. NULL is fine. */
void kern_close(struct kern *k);
static inline void kern_close_cleanup(struct kern **k)
{
	kern_close(*k);
}
#define __cleanup_kern __cleanup(kern_close_cleanup)

/* Whether sessions published from now on use sk_msg (probed once in kern_open). */
enum kern_road kern_road(const struct kern *k);

/*
 * Remove all pins below PF_PIN_DIR, so that every program goes (uninstall). -EBUSY while a session
 * is published. Works on any ABI version. err as in kern_open().
 */
int kern_unload(char *err) __must_check;

/*
 * Put a label on the task behind pidfd: a stopped, single-threaded child that has set no_new_privs.
 * kind is PF_KIND_BOOT or PF_KIND_GATE_BOOT.
 */
int kern_label_task(struct kern *k, int pidfd, __u64 session, enum pf_kind kind) __must_check;

/* The label of a task; -ENOENT when it has none, -ESRCH when it is gone. */
int kern_task_label(struct kern *k, int pidfd, struct pf_label *ret) __must_check;

/*
 * The identity that code of ours in a session left by opening a path with this number (policy.h,
 * pf_marks); -ENOENT: none.
 */
int kern_mark_get(struct kern *k, __u64 session, size_t number, struct pf_mark *ret) __must_check;
/* Delete those with the numbers below n, or, by a look at those of all sessions, whatever is there.
 * Whoever leaves them must be dead. */
#define KERN_MARKS_ALL SIZE_MAX
void kern_marks_drop(struct kern *k, __u64 session, size_t n);

struct kern_rule {
	struct pf_rule_key key;
	struct pf_rule rule;
};

/* FNV-1a 64 of a name, as pf_rule_key.name wants it (never 0). */
__u64 kern_name_hash(const char *name, size_t len);

struct kern_endpoint {
	__u8 addr[16];	 /* IPv4-mapped for IPv4, network byte order */
	__u16 port;	 /* host byte order */
	__u8 proto;	 /* IPPROTO_TCP or IPPROTO_UDP */
	__u16 gate_port; /* host byte order; not used for upstreams */
	__u32 id;	 /* index of the database */
};

/* All that makes a session. The arrays are borrowed for the call. */
struct kern_session {
	__u64 id;
	__u64 agent_cgroup; /* ids of <id>/agent and <id>/gate */
	__u64 gate_cgroup;
	__u32 uid;
	__u32 unattended; /* of PF_SESSION_UNATTENDED */
	char name[32];
	const struct pf_own_fs *own_fs;
	size_t n_own_fs;
	const struct kern_rule *rules;
	size_t n_rules;
	const struct kern_endpoint *endpoints; /* where the agent may connect */
	size_t n_endpoints;
	const struct kern_endpoint *upstreams; /* where the gate may connect */
	size_t n_upstreams;
};

/*
 * Fill the maps for a session, LIVE last. Sessions with the same rules share one inner map. On
 * failure nothing of it stays. -EEXIST: published already; -E2BIG: more rules or filesystems than
 * the contract allows; -ENOSPC: a map is full.
 */
int kern_session_publish(struct kern *k, const struct kern_session *s) __must_check;

/*
 * Only the two cgroups' labels, to be set before any process enters the cgroups; publish does it
 * again. Until publish every decision for such a task is a denial.
 */
int kern_session_reserve(struct kern *k, __u64 id, __u64 agent_cgroup,
			 __u64 gate_cgroup) __must_check;

/*
 * Other rules for a published session, in two steps: their map, which is made unless there is one
 * (errors as for kern_session_publish), then one update that puts them in force. Whoever asks in
 * between, or after a crash, sees by pf_session.policy which it is. The second returns when no
 * program is at work with the old ones any more; -ECANCELED: the session is not live
 * (kern_revoke_all).
 */
int kern_rules_make(struct kern *k, const struct kern_rule *rules, size_t n,
		    __u32 *ret_key) __must_check;
int kern_session_set_rules(struct kern *k, __u64 id, __u32 key, const struct kern_rule *rules,
			   size_t n, __u32 unattended) __must_check;
/* Only the last of it, for whoever finds by the key that the rules are in force: policies may
 * differ in nothing else. */
int kern_session_set_unattended(struct kern *k, __u64 id, __u32 unattended) __must_check;
/* Drop the map, or all maps, that no session uses. */
void kern_rules_drop(struct kern *k, __u32 key);
void kern_rules_sweep(struct kern *k);

/* Take a session out, LIVE first. A task that still carries its label is denied everything. */
int kern_session_drop(struct kern *k, __u64 id);

/*
 * Sessions count as attended for ns from now on. *ret_over_ns: for how long they did not before; 0:
 * they did, or it is the first time.
 */
int kern_lease_renew(struct kern *k, __u64 ns, __u64 *ret_over_ns) __must_check;

/*
 * Take LIVE from every session, without a struct kern: the caller (root, outside) becomes admin by
 * the pins. A task of a session may then open nothing more, neither files nor connections; what it
 * has open stays until it is killed. fn hears of each session, whether it was live or not. Nothing
 * pinned: 0. err as for kern_open(), -EPROTO when another ABI is pinned.
 */
typedef void kern_revoked_fn(void *arg, __u64 id, const struct pf_session *s);
int kern_revoke_all(kern_revoked_fn *fn, void *arg, char *err) __must_check;

/*
 * Become admin: this process, and what it starts from then on, may change what is pinned. Without a
 * struct kern, by the pins of this ABI, of whatever build. -ENOENT nothing is pinned, -EPROTO
 * another ABI is, -EPERM the kernel does not let us. err as in kern_open().
 */
int kern_enter(char *err) __must_check;

/* The published sessions (for adoption): up to n ids, returns how many there are. */
int kern_sessions(struct kern *k, __u64 *ids, size_t n) __must_check;
int kern_session_get(struct kern *k, __u64 id, struct pf_session *ret) __must_check;

/* A session's counters; -ENOENT when it is not published. */
int kern_stats(struct kern *k, __u64 id, struct pf_stats *ret) __must_check;

/* Failures of helpers inside the programs since load, summed over CPUs, by enum pf_site. */
int kern_errors(struct kern *k, __u64 counts[PF_SITE_MAX]) __must_check;

/* Readable when records wait; stays the library's. */
int kern_ring_fd(const struct kern *k);

/* As many records as can wait at a time. */
#define KERN_RING_RECORDS (PF_RING_BYTES / sizeof(struct pf_event))

/*
 * Hand the waiting records to cb, max of them at most: there may always be another one. A negative
 * return of cb stops and is returned. Returns the number of records otherwise. The record is valid
 * during the call only.
 */
typedef int kern_event_fn(void *arg, const struct pf_event *ev);
int kern_ring_drain(struct kern *k, size_t max, kern_event_fn *cb, void *arg) __must_check;

/* Names for people; static strings, "unknown" for numbers outside the enum. */
const char *pf_hook_name(__u32 hook);	  /* "file_open" */
const char *pf_reason_name(__u32 reason); /* "no-rule": a stable word for the log */
__u32 pf_reason_find(const char *name);	  /* PF_REASON_MAX: no such reason */
const char *pf_reason_text(__u32 reason); /* "no rule of the policy gives this right here" */
const char *pf_reason_hint(__u32 reason); /* what would be allowed instead; "" when nothing is */
const char *pf_class_name(__u32 klass);	  /* "file" */
const char *pf_kind_name(__u32 kind);	  /* "agent" */
const char *pf_site_name(__u32 site);

#endif
