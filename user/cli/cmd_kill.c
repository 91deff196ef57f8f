/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold kill: end a session, or send its command a signal.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const struct cli_option cli_kill_options[] = {
	{"signal", 's', "SIGNAL",
	 "send this signal (name or number) instead of ending the session"},
	{NULL, 0, NULL, NULL},
};

/* The number of "TERM", "SIGTERM" or "15"; 0: none. */
static int signal_of(const char *text)
{
	const char *name = strncmp(text, "SIG", 3) ? text : text + 3;
	char *end;
	long n = strtol(text, &end, 10);

	if (end != text)
		return *end || n < 1 || n >= SIGRTMIN ? 0 : (int)n;
	for (int sig = 1; sig < SIGRTMIN; sig++)
		if (sigabbrev_np(sig) && !strcmp(sigabbrev_np(sig), name))
			return sig;
	return 0;
}

int cmd_kill(struct cli_args *args)
{
	int r, sig = 0;

	while ((r = cli_next(args)) > 0) {
		sig = signal_of(args->value);
		if (sig == 0)
			return cli_usage(args, "no signal \"%s\"", args->value);
	}
	if (r < 0)
		return cli_next_exit(r);
	const char *session = cli_operand(args, "session");

	if (!session)
		return CLI_USAGE;
	json_t *request = json_pack("{s:s}", "session", session);

	if (request && sig > 0 && json_object_set_new(request, "signal", json_integer(sig)) < 0) {
		json_decref(request);
		request = NULL;
	}
	if (!request)
		return cli_fail("\"%s\" names no session", session);
	json_t *reply = cli_request_one(CTL_KILL, request);

	json_decref(reply);
	return reply ? CLI_OK : CLI_FAILURE;
}
