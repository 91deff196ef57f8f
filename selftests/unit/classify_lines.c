/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pinfold-classify reads: lines of any length out of a stream that comes in any pieces, and
 * the statement in each.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "classify/input.h"
#include "classify/statement.h"
#include "gate/limits.h"

/* The lines of text[len], written to a pipe in pieces of this many bytes, as "line|", too long
 * "!|". */
static void read_all(const char *text, size_t len, size_t piece, size_t max, char *got)
{
	int pipe_fds[2];

	assert_int_equal(pipe(pipe_fds), 0);
	struct input in = {.fd = pipe_fds[0], .max = max};
	struct input_line line;
	uint64_t lines = 0;

	while (!in.ended) {
		size_t n = len < piece ? len : piece;

		assert_int_equal(fd_write_all(pipe_fds[1], text, n), 0);
		text += n;
		len -= n;
		if (n == 0)
			fd_close(&pipe_fds[1]);
		assert_int_equal(input_fill(&in), 0);
		while (input_next(&in, &line)) {
			assert_int_equal(line.number, ++lines);
			got += sprintf(got, "%.*s|", line.too_long ? 1 : (int)line.len,
				       line.too_long ? "!" : line.text);
		}
		assert_true(buf_len(&in.buf) <= max);
	}
	input_free(&in);
	close(pipe_fds[0]);
}

static void lines_in_pieces(void **state)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{"", ""},
		{"\n", "|"},
		{"a", "a|"},
		{"a\n", "a|"},
		{"a\n\nb", "a||b|"},
		{"a\r\n", "a\r|"},
		{"12345678\n", "12345678|"},
		{"123456789\n", "!|"},
		{"123456789", "!|"},
		{"a\n1234567890123456789012345678901234567890\n\nb\n", "a|!||b|"},
		{"1234567890123456789012345678901234567890", "!|"},
		{"12345678\n12345678\n123456789\n1", "12345678|12345678|!|1|"},
	};
	char got[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		for (size_t piece = 1; piece < 50; piece++) {
			got[0] = '\0';
			read_all(t[i].text, strlen(t[i].text), piece, 8, got);
			assert_string_equal(got, t[i].want);
		}
}

/* The verdict that needs no parser, as "verdict rule"; "ask TEXT" when it does. */
static int statement(bool json, const char *text, size_t len, char got[128])
{
	const struct input_line line = {.text = text, .len = len, .number = 1};
	struct verdict *v = NULL;
	int r = statement_read(statement_type("postgres"), json, &line, &v);

	assert_non_null(v);
	if (v->decided)
		snprintf(got, 128, "%s %s", sql_verdict_name(v->result.verdict), v->result.rule);
	else
		snprintf(got, 128, "ask %.*s", (int)v->len, v->text);
	if (r == -EINVAL)
		assert_string_equal(got, "deny INPUT");
	verdict_unref(v);
	return r;
}

static void json_lines(void **state)
{
	static const struct {
		const char *text, *want;
		int r;
	} t[] = {
		{"{\"sql\":\"SELECT 1\"}", "ask SELECT 1", 0},
		{"{\"id\":7, \"sql\" : \"a\\nb\", \"cmd\":{}}", "ask a\nb", 0},
		{"{\"sql\":\"\"}", "ask ", 0},
		{"{\"sql\":\"\\u20ac\"}", "ask \xe2\x82\xac", 0},
		{"{\"sql\":\"SELECT \\u0000\"}", "kill P11", 0},
		{"{\"sql\":\"a\",\"sql\":\"b\"}", "deny INPUT", -EINVAL},
		{"{\"x\":{\"a\":1,\"a\":2},\"sql\":\"b\"}", "deny INPUT", -EINVAL},
		{"{\"sql\":[\"a\"]}", "deny INPUT", -EINVAL},
		{"{\"sql\":null}", "deny INPUT", -EINVAL},
		{"{\"SQL\":\"a\"}", "deny INPUT", -EINVAL},
		{"{\"cmd\":\"a\"}", "deny INPUT", -EINVAL},
		{"{\"sql\":\"a\"} {\"sql\":\"b\"}", "deny INPUT", -EINVAL},
		{"{\"sql\":\"\\ud800\"}", "deny INPUT", -EINVAL},
		{"{\"sql\":\"\xff\"}", "deny INPUT", -EINVAL},
		{"[\"a\"]", "deny INPUT", -EINVAL},
		{"\"a\"", "deny INPUT", -EINVAL},
		{"SELECT 1", "deny INPUT", -EINVAL},
		{"", "deny INPUT", -EINVAL},
	};
	char got[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		assert_int_equal(statement(true, t[i].text, strlen(t[i].text), got), t[i].r);
		assert_string_equal(got, t[i].want);
	}
}

/* What the gate says to a message that it does not parse, at each limit and past it. */
static void unparsed(void **state)
{
	static char text[GATE_QUERY_MAX];
	char got[128];

	(void)state;
	memset(text, ' ', sizeof(text));
	memcpy(text, "SELECT 1", 8);
	assert_int_equal(statement(false, text, SQL_TEXT_MAX, got), 0);
	assert_memory_equal(got, "ask SELECT 1 ", 13);
	assert_int_equal(statement(false, text, SQL_TEXT_MAX + 1, got), 0);
	assert_string_equal(got, "deny P67");
	assert_int_equal(statement(false, text, GATE_QUERY_MAX - 1, got), 0);
	assert_string_equal(got, "deny P67");
	assert_int_equal(statement(false, text, GATE_QUERY_MAX, got), 0);
	assert_string_equal(got, "kill P10");
	assert_int_equal(statement(false, "SELECT '\xff'", 10, got), 0);
	assert_string_equal(got, "deny P21");
	assert_int_equal(statement(false, "a\0b", 3, got), 0);
	assert_string_equal(got, "kill P11");
	assert_int_equal(statement(false, "", 0, got), 0);
	assert_string_equal(got, "ask ");
}

static void too_long(void **state)
{
	const struct statement_type *type = statement_type("postgres");
	const struct input_line line = {.text = "", .number = 1, .too_long = true};
	struct verdict *v;

	(void)state;
	assert_int_equal(statement_read(type, false, &line, &v), 0);
	assert_int_equal(v->result.verdict, SQL_KILL);
	assert_string_equal(v->result.rule, "P10");
	verdict_unref(v);
	assert_int_equal(statement_read(type, true, &line, &v), -EINVAL);
	assert_int_equal(v->result.verdict, SQL_DENY);
	assert_string_equal(v->result.rule, "INPUT");
	verdict_unref(v);
}

static void types(void **state)
{
	static const char *const none[] = {"mysql",	 "mssql",   "mongodb", "Postgres",
					   "postgresql", "postgre", ""};

	(void)state;
	assert_non_null(statement_type("postgres"));
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		assert_null(statement_type(none[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_in_pieces), cmocka_unit_test(json_lines),
		cmocka_unit_test(unparsed),	   cmocka_unit_test(too_long),
		cmocka_unit_test(types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
