/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lexer that gives the second opinion on PostgreSQL text: its tokens, what it outlines, and its
 * bounds at the limit and one past it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sql/pg_lex.h"
#include "sql/sql.h"

/* One letter a token: w word, q quoted, u U&"", s string, e E'', v U&'', n N'', b B'', x X'', d $$,
 * 1 number, p parameter, o operator, c other, ! bad. */
static void tokens(const char *text, char *out, size_t size)
{
	static const char letters[] = {
		[PG_TOK_BAD] = '!',	[PG_TOK_WORD] = 'w',	[PG_TOK_QUOTED] = 'q',
		[PG_TOK_UQUOTED] = 'u', [PG_TOK_STRING] = 's',	[PG_TOK_ESTRING] = 'e',
		[PG_TOK_USTRING] = 'v', [PG_TOK_NSTRING] = 'n', [PG_TOK_BITS] = 'b',
		[PG_TOK_HEX] = 'x',	[PG_TOK_DOLLAR] = 'd',	[PG_TOK_NUMBER] = '1',
		[PG_TOK_PARAM] = 'p',	[PG_TOK_OP] = 'o',	[PG_TOK_CHAR] = 'c',
	};
	struct pg_lexer lx = {.text = text, .len = strlen(text)};
	size_t n = 0;

	for (;;) {
		enum pg_token t = pg_lex_next(&lx);

		if (t == PG_TOK_END)
			break;
		assert_true(n + 1 < size);
		out[n++] = letters[t];
		if (t == PG_TOK_BAD)
			break;
	}
	out[n] = '\0';
}

static void test_tokens(void **state)
{
	static const struct {
		const char *text;
		const char *tokens;
	} cases[] = {
		{"", ""},
		{" \t\n\r\f", ""},
		{"select a.b, 1", "wwcwc1"},
		{"'a''b'", "s"},
		{"'a\\'", "s"},
		{"E'a\\'b'", "e"},
		{"e'\\\\'", "e"},
		{"E'a\\", "!"},
		{"'a'\n'b'", "s"},
		{"'a' 'b'", "ss"},
		{"'a' -- x\n 'b'", "s"},
		{"'a'\n -- x\n 'b'", "s"},
		{"'a'\n -- x", "s"},
		{"'a' /* x */\n 'b'", "ss"},
		{"E'a'\n'b\\'c'", "e"},
		{"'a'\n'b\\'c", "sw"},
		{"b'0' B'1' x'a' X'B' n'q' N'q'", "bbxxnn"},
		{"U&'a' u&\"b\" U&b", "vuwow"},
		{"\"a\"\"b\" \"\"", "q!"},
		{"$1 $12 a$1", "ppw"},
		{"$$a$$ $x$ $$ $y$ $x$", "dd"},
		{"$x$ $X$", "!"},
		{"$1a", "!"},
		{"1 1.5 .5 1. 1e5 1.5E-3 1..2", "1111111c1"},
		{"1e", "!"},
		{"1a", "!"},
		{"1_000", "!"},
		{"0x1F", "!"},
		{"a-- x\rb", "ww"},
		{"a/* /* */ */b", "ww"},
		{"a/* /* */b", "w!"},
		{"1+-- x\n2", "1o1"},
		{"1*/* x */2", "1o1"},
		{"a->>'b'", "wos"},
		{"a::b", "wccw"},
		{"\xc3\xa9t\xc3\xa9 caf\xc3\xa9$", "ww"},
		{"a\\b", "wcw"},
		{"'", "!"},
		{"\"", "!"},
		{"$", "!"},
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		tokens(cases[i].text, out, sizeof(out));
		if (strcmp(out, cases[i].tokens) != 0)
			fail_msg("%s: %s, not %s", cases[i].text, out, cases[i].tokens);
	}
}

static void test_outline(void **state)
{
	static const struct {
		const char *text;
		size_t statements;
		const char *first;
		bool into, locking;
	} cases[] = {
		{"", 0, "", false, false},
		{";;", 0, "", false, false},
		{"SELECT 1", 1, "select", false, false},
		{"; ((SeLeCt 1));", 1, "select", false, false},
		{"a;b;;c", 3, "a", false, false},
		{"(a;b)", 1, "a", false, false},
		{"';';$$;$$;\";\"", 3, "?", false, false},
		{"select 1 into t", 1, "select", true, false},
		{"select 1 as into", 1, "select", false, false},
		{"select t.into", 1, "select", false, false},
		{"select (1 INTO", 1, "select", true, false},
		{"select \"into\", 'into'", 1, "select", false, false},
		{"select 1 for update", 1, "select", false, true},
		{"select 1 FOR/**/No key update", 1, "select", false, true},
		{"select 1 for key share", 1, "select", false, true},
		{"select f(1 for update)", 1, "select", false, false},
		{"averyveryverylongword x", 1, "?", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pg_outline o;
		size_t at;

		assert_int_equal(pg_outline(cases[i].text, strlen(cases[i].text), &o, &at), 0);
		if (o.statements != cases[i].statements || strcmp(o.first, cases[i].first) != 0 ||
		    o.into != cases[i].into || o.locking != cases[i].locking)
			fail_msg("%s: %zu statements, %s, into %d, locking %d", cases[i].text,
				 o.statements, o.first, o.into, o.locking);
	}
}

static int outline_of(const char *unit, size_t n)
{
	size_t len = strlen(unit);
	__cleanup_free char *text = malloc(n * len);
	struct pg_outline o;
	size_t at;

	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		memcpy(text + i * len, unit, len);
	return pg_outline(text, n * len, &o, &at);
}

static void test_bounds(void **state)
{
	struct pg_outline o;
	size_t at = 0;

	(void)state;
	assert_int_equal(outline_of("a ", SQL_TOKENS_MAX), 0);
	assert_int_equal(outline_of("a ", SQL_TOKENS_MAX + 1), -E2BIG);
	assert_int_equal(outline_of("(", SQL_DEPTH_MAX), 0);
	assert_int_equal(outline_of("(", SQL_DEPTH_MAX + 1), -E2BIG);
	assert_int_equal(outline_of("[", SQL_DEPTH_MAX + 1), -E2BIG);
	assert_int_equal(outline_of("()", SQL_TOKENS_MAX / 2), 0);
	/* The longest operator; and how far into a run of its characters something may begin. */
	assert_int_equal(outline_of("+", SQL_NAME_SIZE - 1), 0);
	assert_int_equal(outline_of("+", SQL_NAME_SIZE), -EINVAL);
	assert_int_equal(outline_of("/**/", 33), 0);
	assert_int_equal(outline_of("/**/", 34), -EINVAL);
	assert_int_equal(outline_of("/**/ ", 1000), 0);
	assert_int_equal(pg_outline("select 'x", 9, &o, &at), -EINVAL);
	assert_int_equal(at, 7);
	/* Nothing behind the end is read: the quote that would close lies there. */
	assert_int_equal(pg_outline("'a'", 2, &o, &at), -EINVAL);
	assert_int_equal(pg_outline("E'\\'", 3, &o, &at), -EINVAL);
	assert_int_equal(pg_outline("/**/", 3, &o, &at), -EINVAL);
	assert_int_equal(pg_outline("$a$$a$", 5, &o, &at), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_outline),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
