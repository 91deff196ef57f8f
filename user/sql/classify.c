/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entry: what every dialect refuses before any parser, and the choice of classifier.
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "sql/pg_classify.h"
#include "sql/result.h"
#include "sql/sql.h"

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
		uint32_t c;
		size_t n = utf8_char(p + at, len - at, &c);

		if (n == 0)
			return refuse(ret, "P21", STATE_ENCODING,
				      "the statement is not valid UTF-8");
		at += n;
	}
	return 0;
}

int sql_classify(enum sql_dialect dialect, const char *text, size_t len, struct sql_result *ret)
{
	if (sql_precheck(text, len, ret) < 0)
		return 0;
	switch (dialect) {
	case SQL_POSTGRES:
		return pg_classify(text, len, ret);
	}
	return -ENOTSUP;
}
