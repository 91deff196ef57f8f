/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a line of input to a statement, with what the gate says before it parses one.
 */
#include "classify/statement.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "gate/limits.h"

/* The rule that denies a line in which there is no statement; SQLSTATE "invalid text". */
#define RULE_NO_STATEMENT "INPUT"
#define STATE_NO_STATEMENT "22P02"

/* As a Query message, which ends in a NUL. The gate's words: conn.c and conn_query.c. */
static bool pg_framed(const char *text, size_t len, struct sql_result *ret)
{
	const char *rule = NULL, *reason = NULL;

	if (len + 1 > GATE_QUERY_MAX) {
		rule = "P10";
		reason = "message too long";
	} else if (memchr(text, '\0', len)) {
		rule = "P11";
		reason = "a NUL inside a query";
	}
	if (!rule)
		return true;
	verdict_deny(ret, rule, "08P01", reason);
	ret->verdict = SQL_KILL;
	return false;
}

const struct statement_type statement_types[] = {
	{"postgres", "sql", SQL_POSTGRES, GATE_QUERY_MAX - 1, pg_framed},
	{NULL, NULL, SQL_POSTGRES, 0, NULL},
};

const struct statement_type *statement_type(const char *name)
{
	for (const struct statement_type *t = statement_types; t->name; t++)
		if (!strcmp(t->name, name))
			return t;
	return NULL;
}

static int unread(struct verdict **ret, const char *why)
{
	struct verdict *v = verdict_new("", 0);

	if (!v)
		return -ENOMEM;
	verdict_deny(&v->result, RULE_NO_STATEMENT, STATE_NO_STATEMENT, why);
	v->decided = true;
	*ret = v;
	return -EINVAL;
}

static int judge(const struct statement_type *type, const char *text, size_t len,
		 struct verdict **ret)
{
	struct sql_result refused;
	bool framed = type->framed(text, len, &refused);
	struct verdict *v = verdict_new(text, framed ? len : 0);

	if (!v)
		return -ENOMEM;
	if (!framed || sql_precheck(text, len, &refused) < 0) {
		v->result = refused;
		v->decided = true;
	}
	*ret = v;
	return 0;
}

static int read_object(const struct statement_type *type, const json_t *line, struct verdict **ret)
{
	const json_t *text = json_object_get(line, type->key);
	char why[SQL_REASON_SIZE];

	if (!json_is_object(line))
		return unread(ret, "the line is not a JSON object");
	if (json_is_string(text))
		return judge(type, json_string_value(text), json_string_length(text), ret);
	(void)snprintf(why, sizeof(why), "the object has %s \"%s\"", text ? "no text in" : "no",
		       type->key);
	return unread(ret, why);
}

static int read_json(const struct statement_type *type, const struct input_line *line,
		     struct verdict **ret)
{
	json_error_t e;
	char why[SQL_REASON_SIZE];

	if (line->too_long)
		return unread(ret, "the line is longer than 8 MiB");
	json_t *root =
		json_loadb(line->text, line->len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);

	if (!root) {
		(void)snprintf(why, sizeof(why), "the line is not JSON: %s", e.text);
		return unread(ret, why);
	}
	int r = read_object(type, root, ret);

	json_decref(root);
	return r;
}

int statement_read(const struct statement_type *type, bool json, const struct input_line *line,
		   struct verdict **ret)
{
	if (json)
		return read_json(type, line, ret);
	return judge(type, line->text, line->too_long ? type->max + 1 : line->len, ret);
}
