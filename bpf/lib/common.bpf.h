/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every BPF object begins with: kernel types, the contract, kernel constants that BTF does not
 * carry, and the settings of .rodata.
 */
#ifndef PINFOLD_COMMON_BPF_H
#define PINFOLD_COMMON_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include <pinfold/abi.h>
#include <pinfold/session.h>
#include <pinfold/policy.h>
#include <pinfold/event.h>
#include <pinfold/guard.h>

/* Set between open and load (user/kern), never after; defined in maps.bpf.c. */
extern const volatile __u32 cfg_session_level; /* level of <id>/agent in the cgroup tree */
extern const volatile __u32 cfg_pin_dev;       /* s_dev and inode of PF_PIN_DIR */
extern const volatile __u64 cfg_pin_ino;
extern const volatile __u64 cfg_slice_ino; /* inode of pinfold.slice */
extern const volatile __u32 cfg_mnt_ns;	   /* the mount namespace that PF_PIN_DIR was seen in */

#define EPERM 1
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13

#define PFA_NO_NEW_PRIVS_BIT 1ul
#define CAP_SYS_ADMIN_BIT (1ull << 21)
#define SIGNAL_UNKILLABLE_BIT 0x40u

#define FMODE_READ_BIT 0x1u
#define FMODE_WRITE_BIT 0x2u
#define FMODE_EXEC_BIT 0x20u
#define FMODE_PATH_BIT 0x4000u
#define FMODE_BACKING_BIT (1u << 24)
#define O_ACCMODE_BITS 00000003u
#define O_NOCTTY 00000400u
#define O_TRUNC 00001000u
#define O_NONBLOCK 00004000u
#define O_TMPFILE_BIT 020000000u

#define S_IFMT 00170000u
#define S_IFBLK 0060000u
#define S_IFCHR 0020000u
#define S_IFREG 0100000u
#define S_IFDIR 0040000u
#define S_ISUID 0004000u
#define S_ISGID 0002000u
#define SB_KERNMOUNT_BIT (1ul << 22)

#define BPF_FS_MAGIC 0xcafe4a11ul
#define PROC_MAGIC 0x9fa0ul
#define CGROUP2_MAGIC 0x63677270ul
#define CGROUP_MAGIC 0x27e0ebul
#define PIPEFS_MAGIC 0x50495045ul
#define SOCKFS_MAGIC 0x534f434bul
#define ANON_INODE_MAGIC 0x09041934ul
#define PIDFS_MAGIC 0x50494446ul
#define SECRETMEM_MAGIC 0x5345434dul
#define TMPFS_MAGIC 0x01021994ul
#define HUGETLBFS_MAGIC 0x958458f6ul
#define MQUEUE_MAGIC 0x19800202ul

#define PROT_WRITE_BIT 2ul
#define PROT_EXEC_BIT 4ul
#define MAP_SHARED_BITS 3ul /* MAP_SHARED 1, MAP_SHARED_VALIDATE 3 */
#define MAP_SHARED_BIT 1ul
#define VM_SHARED_BIT 8ul

#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16

/*
 * Is a pointer NULL that newer verifiers take for never NULL? 6.12 believes it of dentry->d_inode
 * and of every argument of a hook, and removes a comparison with 0 as dead code; negative dentries
 * and anonymous mappings then crash the kernel. It cannot decide a comparison with another number.
 */
static __always_inline bool pf_null(const void *p)
{
	barrier_var(p);
	return (__u64)p < 4096;
}

/* The inode of an entry, NULL when it has none. Where the type says "or NULL", the verifier wants
 * to see the plain comparison as well. */
static __always_inline struct inode *pf_inode(struct dentry *d)
{
	struct inode *inode = d->d_inode;

	if (!inode || pf_null(inode))
		return NULL;
	return inode;
}

char LICENSE[] SEC("license") = "GPL";

#endif
