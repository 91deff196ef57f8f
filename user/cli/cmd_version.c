/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold version: of this program and, when it runs, of the daemon.
 */
#include <stdio.h>

#include "cli/cli.h"

/* The daemon's reply to "version", or NULL: that it does not run is no failure here. */
static json_t *ask_daemon(void)
{
	struct ctl_err err;
	struct ctl_reply_error e;
	json_t *reply = NULL;
	__cleanup_fd int sock = ctl_connect(cli_socket_path(), &err);

	if (sock < 0 || ctl_request_send(sock, CTL_VERSION_CMD, NULL, NULL, 0) < 0 ||
	    ctl_reply_recv(sock, &reply) <= 0)
		return NULL;
	if (!ctl_reply_error(reply, &e))
		return reply;
	json_decref(reply);
	return NULL;
}

static int print_json(const json_t *daemon)
{
	json_t *all = json_pack("{s:s, s:i, s:s?}", "version", PF_VERSION, "protocol", CTL_VERSION,
				"daemon", json_string_value(json_object_get(daemon, "version")));
	int r = all ? cli_print_json(all) : cli_fail("out of memory");

	json_decref(all);
	return r;
}

int cmd_version(struct cli_args *args)
{
	bool json;
	int r;

	if (!cli_only_json(args, &json, &r))
		return r;
	json_t *daemon = ask_daemon();

	if (json) {
		r = print_json(daemon);
	} else {
		printf("pinfold %s\npinfoldd ", PF_VERSION);
		cli_print_text(daemon ? ctl_str(daemon, "version") : "does not run", 64);
		printf("\n");
	}
	json_decref(daemon);
	return r ? r : cli_finish();
}
