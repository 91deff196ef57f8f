/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold ps: sessions, one a line.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const struct cli_option cli_ps_options[] = {
	{"all", 'a', NULL, "sessions that have ended, too, and why they did"},
	CLI_JSON_OPTION,
	{NULL, 0, NULL, NULL},
};

static const char *state_colour(const char *state)
{
	const struct cli_colours *c = cli_colours();

	if (!strcmp(state, "running"))
		return c->green;
	return strcmp(state, "quarantined") ? c->dim : c->red;
}

/* A column; what is too long for it moves the rest of the line. */
static void column(const char *text, int width)
{
	cli_print_text(text, 64);
	printf("%*s ", width > (int)strlen(text) ? width - (int)strlen(text) : 0, "");
}

static void print_command(const json_t *argv)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)argv, i, v)
	{
		printf("%s", i ? " " : "");
		cli_print_text(json_string_value(v) ? json_string_value(v) : "", 80);
	}
}

/* What a policy calls itself is its own word, unless it is an installed one. */
static void print_policy(const json_t *s)
{
	char text[PATH_MAX + sizeof("file:")];
	bool installed = json_is_true(json_object_get(s, "policy_installed"));

	(void)snprintf(text, sizeof(text), "%s%s", installed ? "" : "file:", ctl_str(s, "policy"));
	column(text, 12);
}

static void print_session(const json_t *s)
{
	const char *state = ctl_str(s, "state");
	const json_t *statements = json_object_get(s, "statements");
	char numbers[64]; /* three numbers of at most 20 digits */

	column(ctl_str(s, "id"), 8);
	column(ctl_str(s, "name"), 12);
	column(ctl_str(s, "user"), 10);
	print_policy(s);
	column(ctl_str(s, "started"), 20);
	printf("%s", state_colour(state));
	column(state, 11);
	printf("%s", cli_colours()->off);
	(void)snprintf(numbers, sizeof(numbers), "%lld", cli_int(s, "denied"));
	column(numbers, 6);
	(void)snprintf(numbers, sizeof(numbers), "%lld/%lld", cli_int(statements, "deny"),
		       cli_int(statements, "deny") + cli_int(statements, "allow"));
	column(numbers, 9);
	if (ctl_str(s, "reason")[0]) {
		printf("(");
		cli_print_text(ctl_str(s, "reason"), 64);
		printf(") ");
	}
	print_command(json_object_get(s, "command"));
	printf("\n");
}

int cmd_ps(struct cli_args *args)
{
	bool json = false, all = false;
	int r;

	while ((r = cli_next(args)) > 0) {
		all = all || r == 'a';
		json = json || r == CLI_OPT_JSON;
	}
	if (r < 0)
		return cli_next_exit(r);
	r = cli_no_operands(args);
	if (r != 0)
		return r;
	json_t *reply = cli_request_one(CTL_PS, json_pack("{s:b}", "all", all));
	size_t i;
	json_t *s;

	if (!reply)
		return CLI_FAILURE;
	if (json) {
		r = cli_print_json(reply);
	} else {
		printf("%-8s %-12s %-10s %-12s %-20s %-11s %-6s %-9s %s\n", "SESSION", "NAME",
		       "USER", "POLICY", "STARTED", "STATE", "DENIED", "REFUSED", "COMMAND");
		json_array_foreach(json_object_get(reply, "sessions"), i, s)
		{
			print_session(s);
		}
	}
	json_decref(reply);
	return r ? r : cli_finish();
}
