/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold-gate: one session's database gateway. Started by pinfoldd without arguments, with the
 * socket to it as descriptor 3 (docs/ARCHITECTURE.md). This file makes the process safe to hold a
 * secret, forks the parser's zygote before there is one, and hands over.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/core.h"
#include "base/fd.h"
#include "base/log.h"
#include "gate/gate.h"
#include "gate/parser.h"

#define CONTROL_FD 3

/* No core file, no ptrace, no /proc/pid/mem for others of this uid; no gain by exec. */
static int harden(void)
{
	if (core_never() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* A closed peer is an error of write(2), also inside OpenSSL. */
	return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -errno : 0;
}

int main(int argc, char **argv)
{
	int zygote = -1;

	(void)argv;
	log_setup("pinfold-gate", LOG_LEVEL_INFO);
	if (argc != 1) {
		fprintf(stderr, "pinfold-gate: takes no arguments; pinfoldd starts it\n");
		return 2;
	}
	int r = harden();

	if (r == 0)
		r = fd_set_cloexec(CONTROL_FD, 1);
	if (r == 0)
		r = parser_zygote_start(&zygote);
	if (r < 0) {
		log_err("start: %s", strerror(-r));
		return 1;
	}
	return gate_run(CONTROL_FD, zygote) < 0;
}
