/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audit records for people and for programs: what "logs" and "audit tail" have in common.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const struct cli_option cli_tail_options[] = {
	{"lines", 'n', "N", "the newest N records (default: 20)"},
	{"follow", 'f', NULL, "go on with records as they come"},
	CLI_JSON_OPTION,
	{NULL, 0, NULL, NULL},
};

static const char *record_colour(const json_t *record)
{
	const struct cli_colours *c = cli_colours();
	const char *type = ctl_str(record, "type"), *verdict = ctl_str(record, "verdict");

	if (!strcmp(type, "denial") || !strcmp(verdict, "deny") || !strcmp(verdict, "kill"))
		return c->red;
	if (!strcmp(type, "loss"))
		return c->yellow;
	return strcmp(verdict, "allow") ? "" : c->green;
}

/* Members that are at the head of the line. */
static bool in_head(const char *key)
{
	static const char *const head[] = {"time", "type", "session", "seq", "ok", "more"};

	for (size_t i = 0; i < ARRAY_LEN(head); i++)
		if (!strcmp(head[i], key))
			return true;
	return false;
}

static void print_member(const char *key, const json_t *value)
{
	printf(" %s=", key);
	if (json_is_string(value)) {
		cli_print_text(json_string_value(value), 200);
		return;
	}
	__cleanup_free char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	cli_print_text(text ? text : "?", 200);
}

void cli_print_record(const json_t *record)
{
	const struct cli_colours *c = cli_colours();
	const char *key;
	json_t *value;

	printf("%s", c->dim);
	cli_print_text(ctl_str(record, "time"), 40);
	printf("%s %lld %s", c->off, cli_int(record, "seq"), record_colour(record));
	cli_print_text(ctl_str(record, "type"), 20);
	printf("%s ", c->off);
	cli_print_text(ctl_str(record, "session"), 40);
	json_object_foreach((json_t *)record, key, value)
	{
		if (!in_head(key) && !json_is_null(value))
			print_member(key, value);
	}
	printf("\n");
}

struct show {
	bool json;
	int status;
};

static bool show_reply(const json_t *reply, void *arg)
{
	struct show *show = arg;
	size_t i;
	json_t *record;

	json_array_foreach(json_object_get(reply, "records"), i, record)
	{
		if (!show->json)
			cli_print_record(record);
		else if (cli_print_json(record) != CLI_OK)
			show->status = CLI_FAILURE;
	}
	/* each reply is seen at once when the output is followed through a pipe */
	if (cli_finish() != CLI_OK)
		show->status = CLI_FAILURE;
	return show->status == CLI_OK;
}

int cli_show_records(enum ctl_cmd cmd, const char *session, long lines, bool follow, bool json)
{
	struct show show = {.json = json, .status = CLI_OK};
	json_t *args = json_pack("{s:I, s:b}", "lines", (json_int_t)lines, "follow", follow);

	if (args && session && json_object_set_new(args, "session", json_string(session)) < 0) {
		json_decref(args);
		return cli_fail("\"%s\" names no session", session);
	}
	int r = cli_request(cmd, args, show_reply, &show);

	return r ? r : show.status;
}
