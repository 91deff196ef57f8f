/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What is allowed: rules by file identity, endpoints by address.
 */
#ifndef PINFOLD_POLICY_H
#define PINFOLD_POLICY_H

#include <pinfold/abi.h>

/* Rights that a rule gives to a tree or a file. */
#define PF_R_READ 1u
#define PF_R_WRITE 2u
#define PF_R_EXEC 4u
/* On a rule's value: rules by name exist below this directory (struct pf_rule_key.name != 0). */
#define PF_R_NAMES 0x100u
/* On a rule's value: a rule root; it may not be renamed, removed or replaced from inside. */
#define PF_R_SEALED 0x200u
/* On pf_own_fs.rights: a procfs; writes only to the files of the built-in list (comm). */
#define PF_R_PROC 0x400u
/* On pf_own_fs.rights: device nodes may be opened here. */
#define PF_R_DEV 0x800u

/*
 * Key of a policy's inner map. With name == 0 the rule stands on the inode (dev, ino) and holds for
 * it and everything below, down to the next rule. With name != 0 it stands on the entry of that
 * name in the directory (dev, ino), whether it exists yet or not. name is FNV-1a 64 over the bytes
 * of the name (never 0: a hash of 0 is stored as 1).
 */
struct pf_rule_key {
	__u64 ino; /* i_ino as the kernel sees it; learned through pf_marks, never from stat(2) */
	__u64 name;
	__u32 dev;  /* kernel encoding of s_dev */
	__u32 self; /* which of several inodes of that number; learned together with ino */
};
PF_ASSERT_SIZE(struct pf_rule_key, 24);

struct pf_rule {
	__u32 rights; /* PF_R_*; no right at all is "deny inside allow" */
	__u32 id;     /* number of the rule in its policy, for events; 0 = built in */
};
PF_ASSERT_SIZE(struct pf_rule, 8);

#define PF_FNV_OFFSET 0xcbf29ce484222325ULL
#define PF_FNV_PRIME 0x100000001b3ULL

/*
 * pf_marks: how user space learns a file's identity. While a task's label is INIT, each open(2)
 * with both O_NONBLOCK and O_NOCTTY (which no library uses together) sets {session, number} ->
 * identity. The number is what the task calls itself (PR_SET_NAME, PF_MARK_NUMBER), so that an open
 * which leaves no mark, or fails after it has left one, moves none of the others. pinfold-init
 * opens the rule paths so before the session is published, and again for each policy that is loaded
 * into it; pinfoldd reads the entries and deletes them.
 */
struct pf_mark_key {
	__u64 session;
	char number[8];
};
#define PF_MARK_NUMBER "%07u"
#define PF_MARK_NUMBER_MAX 9999999u
PF_ASSERT_SIZE(struct pf_mark_key, 16);

struct pf_mark {
	__u64 ino;
	__u32 dev;
	__u32 self; /* as in pf_rule_key */
};
PF_ASSERT_SIZE(struct pf_mark, 16);

/*
 * pf_endpoints: where a session may connect. The agent sees addr:port, the kernel makes it
 * 127.0.0.1:gate_port (or the v4-mapped form of it). One entry per address of an endpoint.
 */
struct pf_endpoint_key {
	__u64 session;
	__u8 addr[16]; /* IPv4-mapped for IPv4, network byte order */
	__u16 port;    /* network byte order */
	__u8 proto;    /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad[5];
};
PF_ASSERT_SIZE(struct pf_endpoint_key, 32);

struct pf_endpoint {
	__u16 gate_port; /* network byte order */
	__u16 pad;
	__u32 id; /* index of the database in the policy, for events */
};
PF_ASSERT_SIZE(struct pf_endpoint, 8);

/* pf_upstreams: where the gate of a session may connect: same key as above, value = endpoint id. */

#endif
