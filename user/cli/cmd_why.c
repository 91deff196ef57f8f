/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold why: what was denied, by which rule, and what is allowed instead. Inside a session there
 * is no daemon to ask; a read-only file has the answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/cli.h"

#define WHY_FILE_MAX (1u << 20)
#define LINES_MAX 10000
#define LINES_DEFAULT 20

const struct cli_option cli_why_options[] = {
	{"lines", 'n', "N", "the newest N denials (default: 20)"},
	CLI_JSON_OPTION,
	{NULL, 0, NULL, NULL},
};

static void print_part(const char *before, const char *text, const char *after)
{
	if (!text[0])
		return;
	printf("%s", before);
	cli_print_text(text, 256);
	printf("%s", after);
}

static void print_denial(const json_t *d)
{
	const struct cli_colours *c = cli_colours();

	printf("%s", c->dim);
	print_part("", ctl_str(d, "time"), " ");
	printf("%s%s", c->off, c->red);
	print_part("", ctl_str(d, "what"), "");
	printf("%s", c->off);
	print_part(" ", ctl_str(d, "object"), "");
	if (cli_int(d, "count") > 1)
		printf(" (%lld times)", cli_int(d, "count"));
	print_part("\n    because: ", ctl_str(d, "reason"), "");
	print_part("\n    rule: ", ctl_str(d, "rule"), "");
	print_part("\n    instead: ", ctl_str(d, "advice"), "");
	printf("\n");
}

static int print_reply(const json_t *reply, bool json)
{
	const json_t *denials = json_object_get(reply, "denials");
	size_t i;
	json_t *d;

	if (json) {
		int r = cli_print_json(reply);

		return r ? r : cli_finish();
	}
	if (json_array_size(denials) == 0)
		printf("nothing was denied\n");
	json_array_foreach((json_t *)denials, i, d)
	{
		print_denial(d);
	}
	return cli_finish();
}

static json_t *read_why_file(void)
{
	__cleanup_free char *text = NULL;
	size_t len;
	int r = file_read(AT_FDCWD, CTL_WHY_FILE, WHY_FILE_MAX, &text, &len);
	json_t *reply = r < 0 ? NULL : json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	if (!reply)
		(void)cli_fail("%s: %s", CTL_WHY_FILE,
			       r < 0 ? strerrordesc_np(-r) : "not understood");
	return reply;
}

static void keep_newest(json_t *reply, long lines)
{
	json_t *denials = json_object_get(reply, "denials");

	while (json_array_size(denials) > (size_t)lines)
		if (json_array_remove(denials, 0) < 0)
			return;
}

static json_t *ask(const char *session, long lines)
{
	/* a session sees its own /run, with this file and without the daemon's socket */
	if (!session && access(CTL_WHY_FILE, F_OK) == 0 && access(cli_socket_path(), F_OK) < 0)
		return read_why_file();
	json_t *args = json_pack("{s:I}", "lines", (json_int_t)lines);

	if (args && session && json_object_set_new(args, "session", json_string(session)) < 0) {
		json_decref(args);
		(void)cli_fail("\"%s\" names no session", session);
		return NULL;
	}
	return cli_request_one(CTL_WHY, args);
}

int cmd_why(struct cli_args *args)
{
	bool json = false;
	long lines = LINES_DEFAULT;
	int r;

	while ((r = cli_next(args)) > 0) {
		if (r == 'n' && !cli_number(args, LINES_MAX, &lines))
			return CLI_USAGE;
		json = json || r == CLI_OPT_JSON;
	}
	if (r < 0)
		return cli_next_exit(r);
	if (args->argv[0] && !cli_operand(args, "session"))
		return CLI_USAGE;
	json_t *reply = ask(args->argv[0], lines);

	if (!reply)
		return CLI_FAILURE;
	keep_newest(reply, lines);
	r = print_reply(reply, json);
	json_decref(reply);
	return r;
}
