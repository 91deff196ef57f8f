/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identities and capabilities: the caller's for a moment, the caller's for good, and the little
 * that pid 1 keeps.
 */
#include "init/init.h"

#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <sys/capability.h>
#include <sys/prctl.h>

int priv_borrow(const struct setup *s)
{
	if (setgroups(s->n_groups, s->groups) < 0 || setegid(s->gid) < 0 || seteuid(s->uid) < 0)
		return -errno;
	return 0;
}

int priv_return(void)
{
	if (seteuid(0) < 0 || setegid(0) < 0 || setgroups(0, NULL) < 0)
		return -errno;
	return 0;
}

static int drop_bounding(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

/* With these bits uid 0 is an ordinary number: neither exec nor setuid brings capabilities back. */
#define NO_ROOT_BITS                                                                               \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                           \
	 SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |   \
	 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

static int set_caps(const cap_value_t *caps, int n)
{
	cap_t set = cap_init();
	int r = 0;

	if (!set)
		return -ENOMEM;
	if ((n > 0 && (cap_set_flag(set, CAP_PERMITTED, n, caps, CAP_SET) < 0 ||
		       cap_set_flag(set, CAP_EFFECTIVE, n, caps, CAP_SET) < 0)) ||
	    cap_set_proc(set) < 0)
		r = -errno;
	cap_free(set);
	return r;
}

int priv_become(const struct setup *s)
{
	int r = drop_bounding();

	if (r < 0)
		return r;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECUREBITS, NO_ROOT_BITS, 0, 0, 0) < 0 ||
	    setgroups(s->n_groups, s->groups) < 0 || setresgid(s->gid, s->gid, s->gid) < 0 ||
	    setresuid(s->uid, s->uid, s->uid) < 0)
		return -errno;
	return set_caps(NULL, 0);
}

int priv_keep_kill(void)
{
	static const cap_value_t caps[] = {CAP_KILL};
	int r = drop_bounding();

	return r < 0 ? r : set_caps(caps, 1);
}
