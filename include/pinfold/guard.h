/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What is Pinfold's in the kernel, and who may change it.
 */
#ifndef PINFOLD_GUARD_H
#define PINFOLD_GUARD_H

#include <pinfold/abi.h>

enum pf_own_type {
	PF_OWN_MAP = 1,
	PF_OWN_PROG = 2,
	PF_OWN_LINK = 3,
};

/*
 * Key of pf_own: an object of Pinfold's; the value says nothing. Written by pinfoldd, before the
 * object is of use. The kernel does not give an id again before it has been through all of them, so
 * an entry that was left behind does no harm.
 */
struct pf_own {
	__u32 type; /* enum pf_own_type */
	__u32 id;
};
PF_ASSERT_SIZE(struct pf_own, 8);

/* Key of pf_admins: a process that became admin (session.h). The value says nothing. */
struct pf_admin_key {
	__u64 born; /* CLOCK_BOOTTIME */
	__u32 pid;  /* in the initial pid namespace */
	__u32 pad;
};
PF_ASSERT_SIZE(struct pf_admin_key, 16);

/* Entries of pf_own: programs, links and maps of two builds, and each policy's map twice. */
#define PF_MAX_OWN (PF_MAX_POLICIES * 2 + 1024)

#endif
