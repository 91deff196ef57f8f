/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp filter of a session: stops what the kernel's hooks cannot see (namespaces, detached
 * mounts, foreign ABIs). It is not what enforces the policy.
 */
#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "init/filter.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
/* CLONE_NEWTIME lies in the bits of the exit signal: only unshare and clone3 know it. */
#define CLONE_NAMESPACES                                                                           \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)

struct filter {
	scmp_filter_ctx ctx;
};

static int add_names(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);

		if (nr < 0)
			continue; /* not of this architecture, or newer than libseccomp: ENOSYS */
		int r = seccomp_rule_add(ctx, action, nr, 0);

		if (r < 0)
			return r;
	}
	return 0;
}

/* clone3 hides its flags in memory, so it does not exist here; clone may make no namespaces. */
static int add_clone(scmp_filter_ctx ctx)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	if (r == -EACCES || r == 0) /* EACCES: that is the default action already */
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NAMESPACES, 0));
	for (unsigned bit = 0; r == 0 && bit < 32; bit++)
		if (CLONE_NAMESPACES & 1U << bit)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
					     SCMP_A0(SCMP_CMP_MASKED_EQ, 1U << bit, 1U << bit));
	return r;
}

#define COMMAND_MASK 0xffffffffu /* what the kernel takes of that argument */
#define LINUX_BASE 1024u	 /* where Linux' own commands begin */
#define LINUX_GETDELEG (LINUX_BASE + 15u)
#define LINUX_SETDELEG (LINUX_BASE + 16u)

/*
 * Leases keep waiting, or turn away, whoever opens the file, pinfoldd on behalf of a policy
 * included: to those who ask for one no file system has any. Other commands concern the caller, or
 * what he has open.
 */
static int add_fcntl(scmp_filter_ctx ctx)
{
	static const unsigned leases[] = {F_SETLEASE, LINUX_SETDELEG};
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				 SCMP_A1(SCMP_CMP_MASKED_EQ, COMMAND_MASK & ~(LINUX_BASE - 1u), 0));

	for (unsigned cmd = F_SETLEASE + 1; r == 0 && cmd <= LINUX_GETDELEG; cmd++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, COMMAND_MASK, cmd));
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(leases); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(fcntl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, COMMAND_MASK, leases[i]));
	return r;
}

/* Queries, plain Linux, and what setarch and debuggers set: nothing that loosens memory. */
static int add_personality(scmp_filter_ctx ctx)
{
	static const unsigned long harmless[] = {0xffffffff, PER_LINUX, PER_LINUX | UNAME26,
						 PER_LINUX | ADDR_NO_RANDOMIZE};

	for (size_t i = 0; i < ARRAY_LEN(harmless); i++) {
		int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1,
					 SCMP_A0(SCMP_CMP_EQ, harmless[i], 0));
		if (r < 0)
			return r;
	}
	return 0;
}

#define RESOURCE_MASK 0xffffffffu /* what the kernel takes of that argument */

/* Reading any limit, and setting those that are not RLIMIT_CORE; the number stands at arg. */
static int add_other_limits(scmp_filter_ctx ctx, int call, unsigned arg)
{
	int r = 0;

	for (unsigned which = 0; r == 0 && which < RLIM_NLIMITS; which++)
		if (which != RLIMIT_CORE)
			r = seccomp_rule_add(
				ctx, SCMP_ACT_ALLOW, call, 1,
				SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, RESOURCE_MASK, which));
	return r;
}

/*
 * RLIMIT_CORE stays what it is: that value keeps cores from the disk and from programs outside
 * (base/core.h), while 0 would let programs have them. Who asks for none hears that it is done.
 */
static int add_limits(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp core0 = SCMP_A0(SCMP_CMP_MASKED_EQ, RESOURCE_MASK, RLIMIT_CORE),
				  core1 = SCMP_A1(SCMP_CMP_MASKED_EQ, RESOURCE_MASK, RLIMIT_CORE),
				  set = SCMP_A2(SCMP_CMP_NE, 0, 0),
				  no_set = SCMP_A2(SCMP_CMP_EQ, 0, 0),
				  get = SCMP_A3(SCMP_CMP_NE, 0, 0),
				  no_get = SCMP_A3(SCMP_CMP_EQ, 0, 0);
	int r = add_other_limits(ctx, SCMP_SYS(setrlimit), 0);

	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0), SCMP_SYS(setrlimit), 1, core0);
	if (r == 0)
		r = add_other_limits(ctx, SCMP_SYS(prlimit64), 1);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, core1, no_set);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0), SCMP_SYS(prlimit64), 3, core1, set,
				     no_get);
	if (r == 0) /* it would have to be told the old value */
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 3, core1, set,
				     get);
	return r;
}

static int set_attributes(scmp_filter_ctx ctx)
{
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));

	if (r == 0) /* already set, and not libseccomp's to set */
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	if (r == 0) /* binary tree: a call costs ten comparisons, not three hundred */
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return r;
}

int filter_make(struct filter **ret)
{
	struct filter *flt = calloc(1, sizeof(*flt));

	if (!flt)
		return -ENOMEM;
	flt->ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r = flt->ctx ? set_attributes(flt->ctx) : -ENOMEM;

	if (r == 0)
		r = add_names(flt->ctx, SCMP_ACT_ALLOW, filter_allowed, filter_n_allowed);
	if (r == 0)
		r = add_names(flt->ctx, SCMP_ACT_ERRNO(EPERM), filter_refused, filter_n_refused);
	if (r == 0)
		r = add_clone(flt->ctx);
	if (r == 0)
		r = add_fcntl(flt->ctx);
	if (r == 0)
		r = add_personality(flt->ctx);
	if (r == 0)
		r = add_limits(flt->ctx);
	if (r < 0) {
		filter_free(flt);
		return r;
	}
	*ret = flt;
	return 0;
}

int filter_load(const struct filter *flt)
{
	return seccomp_load(flt->ctx);
}

void filter_free(struct filter *flt)
{
	if (!flt)
		return;
	if (flt->ctx)
		seccomp_release(flt->ctx);
	free(flt);
}
