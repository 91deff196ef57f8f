/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire codec without a socket: limits of each length, what is refused, and that what is encoded
 * decodes to the same.
 */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gate/limits.h"
#include "gate/pgwire.h"

static struct pg_msg message(struct buf *b)
{
	struct pg_msg m = {0};

	assert_int_equal(pg_head(buf_ptr(b), buf_len(b), &m), 1);
	assert_int_equal(buf_len(b), PG_HEAD + m.len);
	return m;
}

static struct pg_msg body(uint8_t type, const void *p, size_t len)
{
	return (struct pg_msg){.type = type, .len = (uint32_t)len, .body = p};
}

static void head_lengths(void **state)
{
	static const struct {
		uint8_t bytes[5];
		int result;
	} cases[] = {
		{{'Q', 0, 0, 0, 4}, 1},		  {{'Q', 0, 0, 0, 3}, -EBADMSG},
		{{'Q', 0, 0, 0, 0}, -EBADMSG},	  {{'Q', 0x7f, 0xff, 0xff, 0xff}, 1},
		{{'Q', 0x80, 0, 0, 0}, -EBADMSG}, {{'Q', 0xff, 0xff, 0xff, 0xff}, -EBADMSG},
	};
	struct pg_msg m;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(pg_head(cases[i].bytes, 5, &m), cases[i].result);
	for (size_t n = 0; n < 5; n++)
		assert_int_equal(pg_head(cases[1].bytes, n, &m), 0);
}

static void start_lengths(void **state)
{
	uint8_t p[4];
	struct pg_msg m;

	(void)state;
	set_be32(p, 7);
	assert_int_equal(pg_start_head(p, 4, &m), -EBADMSG);
	set_be32(p, 8);
	assert_int_equal(pg_start_head(p, 4, &m), 1);
	set_be32(p, GATE_STARTUP_MAX);
	assert_int_equal(pg_start_head(p, 4, &m), 1);
	set_be32(p, GATE_STARTUP_MAX + 1);
	assert_int_equal(pg_start_head(p, 4, &m), -EBADMSG);
	assert_int_equal(pg_start_head(p, 3, &m), 0);
}

static void texts(void **state)
{
	struct pg_msg m = body('Q', "SELECT 1", 9);
	struct pg_text t;

	(void)state;
	assert_int_equal(pg_read_text(&m, &t), 0);
	assert_true(pg_text_is(t, "SELECT 1"));
	m.len = 8; /* no NUL */
	assert_int_equal(pg_read_text(&m, &t), -EBADMSG);
	m = body('Q', "a\0b", 4);
	assert_int_equal(pg_read_text(&m, &t), -EBADMSG);
	m = body('Q', "", 0);
	assert_int_equal(pg_read_text(&m, &t), -EBADMSG);
}

static void parse_round(void **state)
{
	static const uint8_t types[] = {0, 0, 0, 23, 0, 0, 0, 25};
	struct pg_text query = {.p = "SELECT $1", .len = 9};
	__cleanup_buf struct buf b = BUF_INIT(0);
	struct pg_parse p;

	(void)state;
	assert_int_equal(pg_put_parse(&b, "name", query, 2, types), 0);
	struct pg_msg m = message(&b);

	assert_int_equal(pg_read_parse(&m, &p), 0);
	assert_true(pg_text_is(p.name, "name") && pg_text_is(p.query, "SELECT $1"));
	assert_int_equal(p.n_types, 2);
	assert_memory_equal(p.types, types, sizeof(types));
	/* Every shorter body is refused, and a longer one. */
	for (uint32_t n = 0; n < m.len; n++) {
		struct pg_msg cut = body('P', m.body, n);

		assert_int_equal(pg_read_parse(&cut, &p), -EBADMSG);
	}
	assert_int_equal(buf_put_u8(&b, 0), 0);
	m = body('P', buf_ptr(&b) + PG_HEAD, buf_len(&b) - PG_HEAD);
	assert_int_equal(pg_read_parse(&m, &p), -EBADMSG);
}

static void bind_round(void **state)
{
	/* one format, two values (NULL and "ab"), two result formats */
	static const uint8_t rest[] = {0, 1, 0, 1,   0,	  2, 0xff, 0xff, 0xff, 0xff, 0,
				       0, 0, 2, 'a', 'b', 0, 2,	   0,	 0,    0,    1};
	__cleanup_buf struct buf b = BUF_INIT(0);
	struct pg_bind p;

	(void)state;
	assert_int_equal(pg_put_bind(&b, "po", "st", rest, sizeof(rest)), 0);
	struct pg_msg m = message(&b);

	assert_int_equal(pg_read_bind(&m, &p), 0);
	assert_true(pg_text_is(p.portal, "po") && pg_text_is(p.statement, "st"));
	assert_int_equal(p.rest_len, sizeof(rest));
	assert_memory_equal(p.rest, rest, sizeof(rest));
	for (uint32_t n = 0; n < m.len; n++) {
		struct pg_msg cut = body('B', m.body, n);

		assert_int_equal(pg_read_bind(&cut, &p), -EBADMSG);
	}
}

static void bind_hostile(void **state)
{
	/* portal, statement, then: formats, values, results */
	static const uint8_t huge[] = {0, 0, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 0};
	static const uint8_t negative[] = {0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe, 0, 0};
	static const uint8_t format[] = {0, 0, 0, 1, 0, 2, 0, 0, 0, 0};
	static const uint8_t count[] = {0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
	static const uint8_t many[] = {0, 0, 0xff, 0xff, 0, 0, 0, 0};
	struct pg_bind p;
	const struct {
		const uint8_t *p;
		size_t len;
	} cases[] = {
		{huge, sizeof(huge)},	{negative, sizeof(negative)}, {format, sizeof(format)},
		{count, sizeof(count)}, {many, sizeof(many)},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pg_msg m = body('B', cases[i].p, cases[i].len);

		assert_int_equal(pg_read_bind(&m, &p), -EBADMSG);
	}
}

static void errors(void **state)
{
	const struct pg_error e = {.severity = "ERROR",
				   .sqlstate = "25006",
				   .message = "no",
				   .hint = "try",
				   .position = 4294967295u};
	__cleanup_buf struct buf b = BUF_INIT(0);

	(void)state;
	assert_int_equal(pg_put_error(&b, 'E', &e), 0);
	struct pg_msg m = message(&b);

	assert_int_equal(pg_check_notice(&m), 0);
	assert_true(pg_text_is(pg_notice_find(&m, 'S'), "ERROR"));
	assert_true(pg_text_is(pg_notice_find(&m, 'C'), "25006"));
	assert_true(pg_text_is(pg_notice_find(&m, 'H'), "try"));
	assert_true(pg_text_is(pg_notice_find(&m, 'P'), "4294967295"));
	assert_int_equal(pg_notice_find(&m, 'x').len, 0);
	for (uint32_t n = 0; n < m.len; n++) {
		struct pg_msg cut = body('E', m.body, n);

		assert_int_equal(pg_check_notice(&cut), -EBADMSG);
	}
}

static void names_are_bounded(void **state)
{
	char text[1 + GATE_NAME_MAX + 2] = "S";
	struct pg_text name;
	uint8_t what;

	(void)state;
	memset(text + 1, 'n', GATE_NAME_MAX + 1);
	struct pg_msg m = body('D', text, sizeof(text));

	assert_int_equal(pg_read_target(&m, &what, &name), -EBADMSG);
	text[1 + GATE_NAME_MAX] = '\0';
	m.len--;
	assert_int_equal(pg_read_target(&m, &what, &name), 0);
	assert_int_equal(name.len, GATE_NAME_MAX);
	text[0] = 'X';
	assert_int_equal(pg_read_target(&m, &what, &name), -EBADMSG);
}

static void known_types(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++)
		assert_int_equal(pg_client_limit((uint8_t)c) > 0,
				 c != 0 && strchr("QPBFdCDEHSXcf", c) != NULL);
}

static void limited_buffer(void **state)
{
	struct pg_text query = {.p = "SELECT 1", .len = 8};
	__cleanup_buf struct buf b = BUF_INIT(16);

	(void)state;
	assert_int_equal(pg_put_parse(&b, "", query, 0, NULL), -EMSGSIZE);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(pg_put_ready(&b, 'I'), 0);
	assert_int_equal(buf_len(&b), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_lengths), cmocka_unit_test(start_lengths),
		cmocka_unit_test(texts),	cmocka_unit_test(parse_round),
		cmocka_unit_test(bind_round),	cmocka_unit_test(bind_hostile),
		cmocka_unit_test(errors),	cmocka_unit_test(names_are_bounded),
		cmocka_unit_test(known_types),	cmocka_unit_test(limited_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
