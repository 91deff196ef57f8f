/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold-probe: the first program that runs in a session as the agent. It attempts what must not
 * be possible, and only when all of it was refused does it become the command. It reports on
 * descriptor 3: "ok", or a clause for each act that was not refused. It executes the command when
 * descriptor 5 gives it a byte, and reports "exec ERRNO" if that fails.
 *
 *   pinfold-probe kernel      what the kernel side must refuse to root; runs nothing
 *   (any other argv[0])       what must be refused to the command; then exec of argv
 */
#include "init/probe.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
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

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[0], "pinfold-probe") == 0 && strcmp(argv[1], "kernel") == 0) {
		if (!attempt_all(probe_kernel_acts, probe_n_kernel_acts))
			return 1;
		return write(REPORT, "ok\n", 3) == 3 ? 0 : 1;
	}
	char byte;

	if (argc < 1 || fd_set_cloexec(REPORT, 1) < 0 || fd_set_cloexec(GO, 1) < 0)
		return 1;
	if (!attempt_all(probe_command_acts, probe_n_command_acts) || write(REPORT, "ok\n", 3) != 3)
		return 1;
	if (read(GO, &byte, 1) != 1)
		return 1; /* the session ends */
	(void)execvp(argv[0], argv);
	(void)dprintf(REPORT, "exec %d\n", errno);
	return errno == ENOENT ? 127 : 126;
}
