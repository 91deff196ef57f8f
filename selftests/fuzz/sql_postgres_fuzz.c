/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for the PostgreSQL classifier. Besides not crashing, a result has to be one that
 * sql_result_check() takes, to come out the same twice, and not to change by a comment in front.
 */
#include <stdlib.h>
#include <string.h>

#include "sql/sql.h"

#define PREFIX "/* ; /* ' */ INTO */ "

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sql_result classify(const char *text, size_t len)
{
	struct sql_result r;

	memset(&r, 0, sizeof(r));
	if (sql_classify(SQL_POSTGRES, text, len, &r) < 0)
		abort();
	if (sql_result_check(&r) < 0)
		abort();
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char prefix[] = PREFIX;
	const char *text = (const char *)data;
	struct sql_result one, again;
	char *longer;

	one = classify(text, size);
	again = classify(text, size);
	if (one.verdict != again.verdict || one.kind != again.kind ||
	    one.fingerprint != again.fingerprint || strcmp(one.rule, again.rule) != 0 ||
	    strcmp(one.reason, again.reason) != 0)
		abort();
	if (one.verdict == SQL_ALLOW && one.statements > 1)
		abort();
	longer = malloc(sizeof(prefix) + size);
	if (!longer)
		return 0;
	memcpy(longer, prefix, sizeof(prefix) - 1);
	memcpy(longer + sizeof(prefix) - 1, text, size);
	again = classify(longer, sizeof(prefix) - 1 + size);
	free(longer);
	if (size + sizeof(prefix) < SQL_TEXT_MAX &&
	    (one.verdict != again.verdict || one.kind != again.kind ||
	     one.fingerprint != again.fingerprint))
		abort();
	/* The two readings of a text never differ on anything found so far: look when they do. */
	if (!strcmp(one.rule, "P62"))
		abort();
	return 0;
}
