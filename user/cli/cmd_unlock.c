/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold unlock: run a command that may change what Pinfold guards, with pinfoldd or without.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/cli.h"
#include "session/unlock.h"

/* Of the command, in its record; the rest is cut. */
#define RECORD_TEXT_MAX 256
/* For a daemon that hangs. */
#define ANSWER_SECONDS 5

/* The words with spaces between them; what is not plain ASCII becomes a question mark. */
static void join(char **argv, char text[RECORD_TEXT_MAX])
{
	size_t n = 0;

	for (; *argv; argv++) {
		for (const char *p = *argv; *p && n < RECORD_TEXT_MAX - 5; p++)
			text[n++] = *p >= 0x20 && *p < 0x7f ? *p : '?';
		if (n >= RECORD_TEXT_MAX - 5)
			break;
		text[n++] = argv[1] ? ' ' : '\0';
	}
	if (*argv)
		memcpy(text + n, "...", 4);
}

static int ask(int sock, json_t *args, struct ctl_err *err)
{
	const struct timeval limit = {.tv_sec = ANSWER_SECONDS};
	struct ctl_reply_error e;
	json_t *reply = NULL;

	if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	int r = ctl_request_send(sock, CTL_UNLOCK, args, NULL, 0);

	if (r == 0)
		r = ctl_reply_recv(sock, &reply);
	(void)snprintf(err->text, sizeof(err->text), "%s",
		       r == -EAGAIN ? "pinfoldd does not answer"
		       : r == 0	    ? "pinfoldd went away"
		       : r < 0	    ? strerror(-r)
				    : "");
	if (r > 0 && ctl_reply_error(reply, &e)) {
		(void)snprintf(err->text, sizeof(err->text), "%s", e.message);
		r = -EIO;
	}
	json_decref(reply);
	return r > 0 ? 0 : -EIO;
}

/* In the log before the command runs; without a daemon there is only the terminal to tell. */
static void record(char **argv)
{
	struct ctl_err err = {"out of memory"};
	char text[RECORD_TEXT_MAX] = "";

	join(argv, text);
	json_t *args = json_pack("{s:s}", "command", text);
	__cleanup_fd int sock = args ? ctl_connect(cli_socket_path(), &err) : -1;

	if (sock < 0 || ask(sock, args, &err) < 0)
		(void)cli_fail("this is not on record: %s", err.text);
	json_decref(args);
}

int cmd_unlock(struct cli_args *args)
{
	char why[UNLOCK_TEXT_MAX] = "";
	int r = cli_next(args);

	if (r < 0)
		return cli_next_exit(r);
	if (!args->argv[0] || !args->argv[0][0])
		return cli_usage(args, "which command?");
	if (geteuid() != 0) {
		(void)cli_fail("only root can change what Pinfold guards");
		return CLI_RUN_FAILED;
	}
	if (unlock(why) < 0) {
		(void)cli_fail("%s", why);
		return CLI_RUN_FAILED;
	}
	record(args->argv);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)execvp(args->argv[0], args->argv);
	r = errno == ENOENT ? CLI_NOT_FOUND : CLI_CANNOT_EXECUTE;
	(void)cli_fail("%s: %s", args->argv[0], strerror(errno));
	return r;
}
