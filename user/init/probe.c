/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold-probe: the first program that runs in a session as the agent. It attempts what must not
 * be possible, and only when all of it was refused does it become the command. It reports on
 * descriptor 3: "ok", or a clause for each act that was not refused. It executes the command when
 * descriptor 5 gives it a byte, and reports "exec ERRNO" if that fails.
 *
 *   pinfold-probe kernel                  what the kernel side must refuse to root; runs nothing
 *   pinfold-probe command N ARG.. ENV..   what must be refused to the command; then exec of the N
 *                                         arguments with the rest as environment
 *
 * Its own environment is empty and it is linked statically: what the caller of the session hands to
 * the command (LD_PRELOAD, GLIBC_TUNABLES) has no say in what the probe finds.
 */
#include "init/probe.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#define REPORT 3
#define GO 5

static bool refused(int err)
{
	return err == EPERM || err == EACCES;
}

static bool attempt_all(const struct probe_act *acts, size_t n)
{
	bool held = true;

	for (size_t i = 0; i < n; i++) {
		int err = acts[i].attempt();

		if (refused(err))
			continue;
		held = false;
		(void)dprintf(REPORT, "it could %s (%s); ", acts[i].name,
			      err ? strerror(err) : "allowed");
	}
	return held;
}

static int run_kernel(void)
{
	if (!attempt_all(probe_kernel_acts, probe_n_kernel_acts))
		return 1;
	return write(REPORT, "ok\n", 3) == 3 ? 0 : 1;
}

/* argv: N, the arguments, the environment; NULL. Returns only when there is no command to be. */
static int run_command(int argc, char **argv)
{
	char byte, *end;
	unsigned long n = strtoul(argv[0], &end, 10);

	if (*end || n < 1 || n >= (unsigned long)argc || fd_set_cloexec(REPORT, 1) < 0 ||
	    fd_set_cloexec(GO, 1) < 0)
		return 1;
	if (!attempt_all(probe_command_acts, probe_n_command_acts) || write(REPORT, "ok\n", 3) != 3)
		return 1;
	if (read(GO, &byte, 1) != 1)
		return 1; /* the session ends */
	/* One place to the front, for the NULL between the two. */
	memmove(argv, argv + 1, n * sizeof(*argv));
	argv[n] = NULL;
	environ = argv + n + 1; /* the search path is the command's too */
	(void)execvp(argv[0], argv);
	(void)dprintf(REPORT, "exec %d\n", errno);
	return errno == ENOENT ? 127 : 126;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "kernel") == 0)
		return run_kernel();
	if (argc > 3 && strcmp(argv[1], "command") == 0)
		return run_command(argc - 2, argv + 2);
	return 1;
}
