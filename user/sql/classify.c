/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entry: what every dialect refuses before any parser, and the choice of classifier.
 */
#include <errno.h>
#include <string.h>

#include "sql/pg_classify.h"
#include "sql/result.h"
#include "sql/sql.h"

/* Bytes of the well-formed UTF-8 character at p, 0 when it is not one (RFC 3629). */
static size_t utf8_length(const unsigned char *p, size_t left)
{
	unsigned char c = p[0], low = 0x80, high = 0xbf;
	size_t n;

	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		n = 2;
	else if (c >= 0xe0 && c <= 0xef)
		n = 3;
	else if (c >= 0xf0 && c <= 0xf4)
		n = 4;
	else
		return 0;
	/* No overlong forms, no surrogates, nothing past U+10FFFF. */
	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	if (n > left || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static int refuse(struct sql_result *ret, const char *rule, const char *state, const char *what)
{
	struct sql_result out = {0};

	(void)result_deny(&out, rule, state, "%s", what);
	*ret = out;
	return -EINVAL;
}

int sql_precheck(const char *text, size_t len, struct sql_result *ret)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t at = 0;

	if (len > SQL_TEXT_MAX)
		return refuse(ret, "P67", STATE_TOO_COMPLEX, "a statement of more than 256 KiB");
	if (len > 0 && memchr(text, '\0', len))
		return refuse(ret, "P11", STATE_SYNTAX, "a zero byte in the statement");
	while (at < len) {
		size_t n = utf8_length(p + at, len - at);

		if (n == 0)
			return refuse(ret, "P21", STATE_ENCODING,
				      "the statement is not valid UTF-8");
		at += n;
	}
	return 0;
}

int sql_classify(enum sql_dialect dialect, const char *text, size_t len,
		 const struct sql_settings *settings, struct sql_result *ret)
{
	if (sql_precheck(text, len, ret) < 0)
		return 0;
	switch (dialect) {
	case SQL_POSTGRES:
		return pg_classify(text, len, settings, ret);
	}
	return -ENOTSUP;
}
