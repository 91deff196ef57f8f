/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Core dumps, forbidden.
 */
#include "base/core.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/*
 * The limit that stops both kinds: too small for a file, and what the kernel gives the helper of a
 * pipe itself, so that a helper that crashes does not start another (do_coredump() in
 * fs/coredump.c). 0 stops files alone: for a pipe the limit is not looked at otherwise.
 */
#define CORE_LIMIT 1

int core_never(void)
{
	const struct rlimit limit = {CORE_LIMIT, CORE_LIMIT};

	if (setrlimit(RLIMIT_CORE, &limit) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}
