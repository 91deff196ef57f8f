/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who is asking: labels of tasks and sockets, and the kernel's view of a session.
 */
#ifndef PINFOLD_SESSION_H
#define PINFOLD_SESSION_H

#include <pinfold/abi.h>

/*
 * Kinds of label. A task's label is put on it by pinfoldd while it is a stopped, single-threaded
 * child, is copied to every child in task_alloc, and changes in two places only, both in the
 * kernel:
 *
 *   BOOT      --exec--> INIT     pinfold-init, pid 1 of the session: trusted code of ours
 *   INIT      --exec--> AGENT    the probe, and then whatever the caller asked to run
 *   GATE_BOOT --exec--> GATE     pinfold-gate; a further exec is denied
 *   (none)    --opens the pinned map pf_admin for writing only, with CAP_SYS_ADMIN--> ADMIN
 *
 * Every kind but ADMIN carries no_new_privs before its first exec, which is what lets a hook leave
 * at once for tasks outside.
 */
enum pf_kind {
	PF_KIND_NONE = 0,
	PF_KIND_AGENT = 1,
	PF_KIND_INIT = 2,
	PF_KIND_GATE = 3,
	PF_KIND_ADMIN = 4,
	PF_KIND_BOOT = 5,
	PF_KIND_GATE_BOOT = 6,
};

/* Value of task storage (pf_tasks), of socket storage (pf_socks) and of pf_cgroups. */
struct pf_label {
	__u64 session; /* id of the session's cgroup directory; 0 for ADMIN */
	__u32 kind;    /* enum pf_kind */
	__u32 pad;
};
PF_ASSERT_SIZE(struct pf_label, 16);

/*
 * Socket storage: the label, and what steering has to remember. Addresses are IPv4-mapped IPv6 in
 * network byte order, ports in network byte order as the kernel's sock_addr context has them.
 */
struct pf_sock {
	struct pf_label label;
	__u8 asked_addr[16]; /* what the agent connected to, shown again by getpeername */
	__u32 asked_port;
	__u32 steered; /* the gate's port that replaced asked_port; 0: not steered */
	__u32 credit;  /* bytes handed over by sk_msg since the gate last spoke */
	__u32 heard;   /* the socket's rcv_nxt then */
	__u32 plain;   /* 1: sk_msg hands nothing over on this socket any more */
	__u32 pad;
};
PF_ASSERT_SIZE(struct pf_sock, 56);

/* Bits of pf_session.flags. */
#define PF_SESSION_LIVE 1u /* published; without it every decision is a denial */
#define PF_SESSION_FASTROAD                                                                        \
	2u /* sockops may put this session's gate connections into the sockhash */
/* Past the lease (struct pf_lease) a session with neither of these makes no new connection. */
#define PF_SESSION_UNATTENDED_STOP 4u  /* it opens nothing more, as if it were not LIVE */
#define PF_SESSION_UNATTENDED_ALLOW 8u /* it connects as if it were attended */
#define PF_SESSION_UNATTENDED (PF_SESSION_UNATTENDED_STOP | PF_SESSION_UNATTENDED_ALLOW)

/*
 * pf_lease, one entry: until when sessions count as attended. pinfoldd moves it again and again,
 * from its event loop; when it is dead, hangs or is cut off, the time passes. All zero, as a new
 * map has it, is past.
 */
struct pf_lease {
	__u64 until_ns; /* CLOCK_MONOTONIC: a suspended machine does not count */
	__u32 starting; /* 1: moved by a pinfoldd that starts, which is believed only once */
	__u32 pad;
};
PF_ASSERT_SIZE(struct pf_lease, 16);

/*
 * A filesystem that exists for this session alone. It is known by its device number, so it needs no
 * rule inode; what lies in it gets these rights when no rule on the way decided.
 */
struct pf_own_fs {
	__u32 dev;    /* kernel encoding of s_dev: major << 20 | minor */
	__u32 rights; /* PF_R_* of policy.h */
};

/*
 * pf_session.places: a Bloom filter with one hash over the inode numbers that have a rule. A walk
 * passes most directories by one bit of it, without a look-up. It never says "none" of an inode
 * that has a rule: that is what makes it safe to believe.
 */
#define PF_PLACE_WORDS 64
#define PF_PLACE_HASH(ino) (0x9e3779b97f4a7c15ULL * (ino))
#define PF_PLACE_WORD(hash) ((hash) >> 58)
#define PF_PLACE_BIT(hash) (1ULL << ((hash) >> 52 & 63))

/* Value of pf_sessions; the key is the session id. Written whole by user space before LIVE is set.
 */
struct pf_session {
	__u64 started_ns; /* CLOCK_BOOTTIME */
	__u32 policy;	  /* key of pf_policies */
	__u32 flags;
	__u32 uid;
	__u32 n_own_fs;
	struct pf_own_fs own_fs[PF_MAX_OWN_FS];
	char name[32]; /* NUL-padded, for people who read the map */
	__u64 places[PF_PLACE_WORDS];
};
PF_ASSERT_SIZE(struct pf_session, 24 + 8 * PF_MAX_OWN_FS + 32 + 8 * PF_PLACE_WORDS);

/* Classes of denial that are counted separately; the order is that of pf_stats.denied. */
enum pf_class {
	PF_CLASS_FILE = 0,
	PF_CLASS_NET = 1,
	PF_CLASS_EXEC = 2,
	PF_CLASS_IPC = 3,
	PF_CLASS_GUARD = 4,
	PF_CLASS_MAX = 5,
};

/*
 * Value of pf_stats; the key is the session id. Only programs write it (atomics); user space reads.
 * seq counts every event that was due, so with the records that arrived it proves each loss:
 * seq == records received + merged + lost, at any quiet moment.
 */
struct pf_stats {
	__u64 seq;
	__u64 lost;   /* ring was full: the record is gone, the verdict held */
	__u64 merged; /* over the token bucket: counted here, no record of its own */
	__u64 denied[PF_CLASS_MAX];
	__u64 tokens; /* token bucket: events left */
	__u64 refill_ns;
	__u64 redirected; /* messages handed to the gate by sk_msg */
	__u64 tcp_msgs;	  /* messages on a connection to the gate that went by plain TCP */
	__u64 unattended; /* of those denied: only because the lease was over */
};
PF_ASSERT_SIZE(struct pf_stats, 104);

/* Token bucket of the audit ring, per session. */
#define PF_EVENT_BURST 4096u
#define PF_EVENT_PER_SEC 1000u

#endif
