/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the daemon, and their failures in words.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"

int cli_fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "pinfold: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	return CLI_FAILURE;
}

int cli_fail_reply(const struct ctl_reply_error *e)
{
	char message[4096], file[1024]; /* what is longer is cut */

	(void)text_escape(message, sizeof(message), e->message, strlen(e->message), 900);
	if (!e->file)
		return cli_fail("%s", message);
	(void)text_escape(file, sizeof(file), e->file, strlen(e->file), 250);
	if (e->line == 0)
		return cli_fail("%s: %s", file, message);
	return cli_fail("%s:%u:%u: %s", file, e->line, e->column, message);
}

const char *cli_socket_path(void)
{
	const char *path = getenv("PINFOLD_SOCKET");

	return path && path[0] ? path : CTL_SOCKET;
}

int cli_connect(void)
{
	struct ctl_err err;
	int sock = ctl_connect(cli_socket_path(), &err);

	if (sock < 0)
		(void)cli_fail("%s", err.text);
	return sock < 0 ? -1 : sock;
}

static int lost(int r)
{
	if (r == 0)
		return cli_fail("pinfoldd closed the connection before it answered");
	if (r == -EBADMSG)
		return cli_fail("pinfoldd gave an answer that is not understood: is it of another "
				"version?");
	return cli_fail("cannot talk to pinfoldd: %s", strerrordesc_np(-r));
}

/* Connect and send; the connection, or -1 after telling. */
static int send_request(enum ctl_cmd cmd, json_t *args, int fd)
{
	__cleanup_fd int sock = cli_connect();
	int r = sock < 0 ? -ENOTCONN : ctl_request_send(sock, cmd, args, &fd, fd >= 0 ? 1 : 0);

	json_decref(args);
	if (sock >= 0 && r < 0)
		(void)lost(r);
	return r < 0 ? -1 : TAKE_FD(sock);
}

static int read_replies(int sock, bool (*on_reply)(const json_t *reply, void *arg), void *arg)
{
	int r;

	for (bool more = true; more;) {
		struct ctl_reply_error e;
		json_t *reply = NULL;

		r = ctl_reply_recv(sock, &reply);
		if (r <= 0)
			return lost(r);
		if (ctl_reply_error(reply, &e)) {
			r = cli_fail_reply(&e);
			json_decref(reply);
			return r;
		}
		more = on_reply(reply, arg) && ctl_reply_more(reply);
		json_decref(reply);
	}
	return 0;
}

int cli_request(enum ctl_cmd cmd, json_t *args, bool (*on_reply)(const json_t *reply, void *arg),
		void *arg)
{
	__cleanup_fd int sock = send_request(cmd, args, -1);

	return sock < 0 ? CLI_FAILURE : read_replies(sock, on_reply, arg);
}

static bool keep_reply(const json_t *reply, void *arg)
{
	*(json_t **)arg = json_incref((json_t *)reply);
	return false;
}

json_t *cli_request_with(enum ctl_cmd cmd, json_t *args, int fd)
{
	__cleanup_fd int sock = send_request(cmd, args, fd);
	json_t *reply = NULL;

	return sock >= 0 && read_replies(sock, keep_reply, &reply) == 0 ? reply : NULL;
}

json_t *cli_request_one(enum ctl_cmd cmd, json_t *args)
{
	return cli_request_with(cmd, args, -1);
}
