/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The records in the audit ring. One record per denial, with a sequence number given per session in
 * the kernel: a gap is proof of loss (session.h, struct pf_stats).
 */
#ifndef PINFOLD_EVENT_H
#define PINFOLD_EVENT_H

#include <pinfold/abi.h>
#include <pinfold/session.h>

/* Which program decided. Names for people: pf_hook_name() in user/kern. Append only. */
enum pf_hook {
	PF_HOOK_NONE = 0,
	PF_HOOK_FILE_OPEN,
	PF_HOOK_FILE_TRUNCATE,
	PF_HOOK_FILE_IOCTL,
	PF_HOOK_FILE_RECEIVE,
	PF_HOOK_MMAP_FILE,
	PF_HOOK_FILE_MPROTECT,
	PF_HOOK_PATH_MKNOD,
	PF_HOOK_PATH_MKDIR,
	PF_HOOK_PATH_SYMLINK,
	PF_HOOK_PATH_UNLINK,
	PF_HOOK_PATH_RMDIR,
	PF_HOOK_PATH_RENAME,
	PF_HOOK_PATH_LINK,
	PF_HOOK_PATH_TRUNCATE,
	PF_HOOK_PATH_CHMOD,
	PF_HOOK_PATH_CHOWN,
	PF_HOOK_INODE_SETATTR,
	PF_HOOK_INODE_CREATE,
	PF_HOOK_INODE_SETXATTR,
	PF_HOOK_INODE_REMOVEXATTR,
	PF_HOOK_INODE_SET_ACL,
	PF_HOOK_INODE_REMOVE_ACL,
	PF_HOOK_INODE_FILE_SETATTR,
	PF_HOOK_SB_MOUNT,
	PF_HOOK_SB_UMOUNT,
	PF_HOOK_MOVE_MOUNT,
	PF_HOOK_BPRM_CHECK,
	PF_HOOK_SOCKET_CREATE,
	PF_HOOK_SOCKET_CONNECT,
	PF_HOOK_SOCKET_BIND,
	PF_HOOK_SOCKET_LISTEN,
	PF_HOOK_SOCKET_ACCEPT,
	PF_HOOK_SOCKET_SENDMSG,
	PF_HOOK_SOCKET_RECVMSG,
	PF_HOOK_SOCKET_SETSOCKOPT,
	PF_HOOK_UNIX_CONNECT,
	PF_HOOK_UNIX_SEND,
	PF_HOOK_CG_CONNECT,
	PF_HOOK_CG_SENDMSG,
	PF_HOOK_CG_BIND,
	PF_HOOK_CG_EGRESS,
	PF_HOOK_BPF,
	PF_HOOK_PTRACE,
	PF_HOOK_KILL,
	PF_HOOK_TASK_ALLOC,
	PF_HOOK_USERNS,
	PF_HOOK_CGROUP_WRITE,
	PF_HOOK_URING,
	PF_HOOK_FILE_FCNTL,
	PF_HOOK_PIVOTROOT,
	PF_HOOK_CHROOT,
	PF_HOOK_PERF,
	PF_HOOK_CG_RECVMSG,
	PF_HOOK_TASK_SET,
	PF_HOOK_MAX,
};

/* Why. Names for people: pf_reason_text() in user/kern. Append only. */
enum pf_reason {
	PF_REASON_NONE = 0,
	PF_REASON_NO_RULE,	  /* no rule on the way gives this right */
	PF_REASON_RULE,		  /* the rule (event.rule) withholds this right */
	PF_REASON_TOO_DEEP,	  /* PF_MAX_DEPTH reached */
	PF_REASON_SEALED,	  /* the root of a rule's tree */
	PF_REASON_CROSS,	  /* link or rename between trees of different rules */
	PF_REASON_DEVICE,	  /* a device node */
	PF_REASON_SETID,	  /* a set-user-ID or set-group-ID bit */
	PF_REASON_NO_SESSION,	  /* the session is unknown or not live */
	PF_REASON_NO_POLICY,	  /* the policy map is missing */
	PF_REASON_FAMILY,	  /* address family, type or protocol not allowed */
	PF_REASON_DESTINATION,	  /* no endpoint has this address */
	PF_REASON_FOREIGN_SOCKET, /* the socket was not made in this session */
	PF_REASON_FOREIGN_PEER,	  /* the other end belongs to somebody else */
	PF_REASON_NOT_LOOPBACK,	  /* bind or listen on more than loopback */
	PF_REASON_GATE_PORT,	  /* the port belongs to the gate */
	PF_REASON_FOREIGN_TASK,	  /* signal or trace to a task outside, or to pid 1 */
	PF_REASON_FORBIDDEN,	  /* the operation itself is never allowed in a session */
	PF_REASON_STORAGE,	  /* a label could not be stored */
	PF_REASON_XATTR,	  /* security.* or trusted.* attribute */
	PF_REASON_PROC,		  /* a file of /proc that is not on the list */
	PF_REASON_HARD_LINK,	  /* the file has another name, from before or outside */
	PF_REASON_GUARDED,	  /* it is Pinfold's own; by a task outside that is no admin */
	PF_REASON_UNATTENDED,	  /* the lease is over: pinfoldd is dead, hangs or is cut off */
	PF_REASON_MAX,
};

/*
 * Where a helper failed inside a program; counted in pf_errors. Names: pf_site_name() in user/kern.
 * Append only.
 */
enum pf_site {
	PF_SITE_NONE = 0,
	PF_SITE_TASK_STORAGE, /* a label could not be stored on a new task */
	PF_SITE_TASK_LOOKUP,  /* storage said nothing, the cgroup answered (before 6.2) */
	PF_SITE_SOCK_STORAGE, /* a label could not be stored on a new socket */
	PF_SITE_MARK,	      /* pf_marks is full */
	PF_SITE_EVENT,	      /* the ring is full */
	PF_SITE_NO_STATS,     /* a denial without a pf_stats entry */
	PF_SITE_READ,	      /* a kernel object could not be read */
	PF_SITE_SOCKHASH,     /* a connection could not be put into the sockhash */
	PF_SITE_MAX,
};

#define PF_EVENT_NAME 64

/* Bits of pf_event.flags. */
#define PF_EV_NAME_CUT 1u /* name was longer than fits */
#define PF_EV_INET 2u	  /* addr, port, family hold the destination */

struct pf_event {
	__u64 session;
	__u64 seq;     /* from 1, per session */
	__u64 time_ns; /* CLOCK_BOOTTIME */
	__u64 ino;     /* file events: the object, or the directory it would be made in */
	__u32 dev;
	__u32 hook;   /* enum pf_hook */
	__u32 reason; /* enum pf_reason */
	__u32 rule;   /* pf_rule.id for PF_REASON_RULE and _SEALED */
	__u32 rights; /* the rights that were asked for, or the command, family, signal of the call
		       */
	__u32 flags;
	__u32 pid; /* in the initial pid namespace */
	__u32 tid;
	__u32 uid;
	__u32 error; /* positive errno that the caller got */
	__u8 addr[16];
	__u16 port;   /* host byte order */
	__u16 family; /* AF_* of the caller's address or socket */
	__u16 klass;  /* enum pf_class */
	__u16 kind;   /* enum pf_kind of the caller */
	char comm[16];
	char name[PF_EVENT_NAME]; /* last component(s) of the path, for people: never decided on */
};
PF_ASSERT_SIZE(struct pf_event, 72 + 16 + 8 + 16 + PF_EVENT_NAME);

#endif
