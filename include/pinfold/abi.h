/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The kernel/user contract: versions, names and limits. Everything here is compiled by both the BPF
 * and the user compiler, so it holds constants and fixed-width structs only. Before including any
 * header of this family a BPF file includes vmlinux.h, a user file includes <linux/types.h>.
 */
#ifndef PINFOLD_ABI_H
#define PINFOLD_ABI_H

/*
 * Bumped on every change of a shared struct or of a map's meaning. The daemon refuses to adopt pins
 * of another version.
 */
#define PF_ABI_VERSION 4

/* Where programs, links and maps are pinned; a bpffs must be mounted on the parent. */
#define PF_BPFFS "/sys/fs/bpf"
#define PF_PIN_DIR PF_BPFFS "/pinfold"

/* The slice that holds one cgroup per session, relative to the cgroup v2 mount. */
#define PF_SLICE "pinfold.slice"

/* Directories below a session's cgroup. */
#define PF_CG_AGENT "agent"
#define PF_CG_GATE "gate"
#define PF_CG_MARKS "marks" /* while a policy is loaded: who opens its paths */

/* Sessions that may exist at one time. */
#define PF_MAX_SESSIONS 16384
/* Rules in one policy, names not yet existing included. */
#define PF_MAX_RULES 4096
/* Distinct resolved policies that may be loaded at one time. */
#define PF_MAX_POLICIES 4096
/* Endpoint addresses over all sessions. */
#define PF_MAX_ENDPOINTS 65536
/* Directories between a file and the root of its filesystem that a decision looks at. Deeper:
 * denied. */
#define PF_MAX_DEPTH 128
/* Filesystems that were mounted for one session alone (its /tmp, /dev, /proc ...). */
#define PF_MAX_OWN_FS 12
/* Bytes of the audit ring. */
#define PF_RING_BYTES (4 * 1024 * 1024)
/* Bytes that sk_msg may hand over since the peer last spoke; past it plain TCP for good (DESIGN:
 * credit). */
#define PF_REDIRECT_CREDIT 65536

/* First listener port of a gate inside its session's network namespace; one port per endpoint. */
#define PF_GATE_PORT_FIRST 61000
#define PF_GATE_PORTS 256

#ifdef __cplusplus
#error "C only"
#endif

#define PF_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " changed its size")
#define PF_ASSERT_OFFSET(type, field, off)                                                         \
	_Static_assert(__builtin_offsetof(type, field) == (off), #type "." #field " moved")

#endif
