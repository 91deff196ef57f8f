/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling in a struct sql_result: for the classifiers alone. Kept apart from them because the
 * parser's headers take over the names of the standard formatting functions.
 */
#ifndef SQL_RESULT_H
#define SQL_RESULT_H

#include "sql/sql.h"

/* SQLSTATEs of refusals. */
#define STATE_READ_ONLY "25006"
#define STATE_FORBIDDEN "42501"
#define STATE_UNSUPPORTED "0A000"
#define STATE_SYNTAX "42601"
#define STATE_ENCODING "22021"
#define STATE_TOO_COMPLEX "54001"

/*
 * Make *r a refusal, forgetting what it allowed so far; position, fingerprint and statements stay.
 * Bytes that are not printable become '?', a text too long is cut. Always -EPERM.
 */
int result_deny(struct sql_result *r, const char *rule, const char *state, const char *fmt, ...)
	__printf_like(4, 5);

/* A hint that fits (build-time text). */
void result_hint(struct sql_result *r, const char *hint);

/* Another catalogue row for the refusal that *r is. */
void result_rule(struct sql_result *r, const char *rule);

/* Copy a name or value; -E2BIG when it does not fit, *dst then untouched. */
int result_copy(char *dst, size_t size, const char *src) __must_check;

#endif
