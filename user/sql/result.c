/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results: filling them in, and judging one that another process made.
 */
#include "sql/result.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* Each line of text holds printable bytes; UTF-8 beyond ASCII stays, it was validated. */
static void make_printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

/* A cut may have split a character. */
static void trim_partial(char *s)
{
	size_t n = strlen(s), back = 0;

	while (back < n && back < 4 && ((unsigned char)s[n - 1 - back] & 0xc0) == 0x80)
		back++;
	if (back < n && (unsigned char)s[n - 1 - back] >= 0xc0)
		s[n - 1 - back] = '\0';
}

/* Our own literals; one that does not fit is cut. */
static void put(char *dst, size_t size, const char *src)
{
	size_t n = strnlen(src, size - 1);

	memcpy(dst, src, n);
	dst[n] = '\0';
}

int result_deny(struct sql_result *r, const char *rule, const char *state, const char *fmt, ...)
{
	struct sql_result out = {
		.verdict = SQL_DENY,
		.literal_independent = r->literal_independent,
		.statements = r->statements,
		.position = r->position,
		.fingerprint = r->fingerprint,
	};
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out.reason, sizeof(out.reason), fmt, ap);
	va_end(ap);
	if (n < 0)
		out.reason[0] = '\0';
	else if ((size_t)n >= sizeof(out.reason))
		trim_partial(out.reason);
	make_printable(out.reason);
	put(out.rule, sizeof(out.rule), rule);
	put(out.sqlstate, sizeof(out.sqlstate), state);
	*r = out;
	return -EPERM;
}

void result_hint(struct sql_result *r, const char *hint)
{
	put(r->hint, sizeof(r->hint), hint);
}

void result_rule(struct sql_result *r, const char *rule)
{
	put(r->rule, sizeof(r->rule), rule);
}

int result_copy(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src);

	if (n >= size)
		return -E2BIG;
	memcpy(dst, src, n + 1);
	return 0;
}

static bool ended(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

/* A bool from elsewhere may hold any byte. */
static bool is_bool(const bool *b)
{
	unsigned char c;

	memcpy(&c, b, 1);
	return c <= 1;
}

int sql_result_check(struct sql_result *r)
{
	const bool *const flags[] = {
		&r->literal_independent, &r->local,	    &r->is_default, &r->returns_row,
		&r->tx.read_only,	 &r->tx.deferrable, &r->tx.chain,
	};

	if (r->verdict > SQL_KILL || r->kind >= SQL_KIND_COUNT ||
	    r->tx.isolation >= SQL_ISOLATION_COUNT)
		return -EBADMSG;
	if ((r->verdict == SQL_ALLOW) != (r->kind != SQL_KIND_NONE))
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (!is_bool(flags[i]))
			return -EBADMSG;
	if (!ended(r->rule, sizeof(r->rule)) || !ended(r->sqlstate, sizeof(r->sqlstate)) ||
	    !ended(r->reason, sizeof(r->reason)) || !ended(r->hint, sizeof(r->hint)) ||
	    !ended(r->name, sizeof(r->name)) || !ended(r->value, sizeof(r->value)))
		return -EBADMSG;
	if (r->verdict != SQL_ALLOW && strlen(r->sqlstate) != SQL_STATE_SIZE - 1)
		return -EBADMSG;
	make_printable(r->rule);
	make_printable(r->sqlstate);
	make_printable(r->reason);
	make_printable(r->hint);
	return 0;
}

const char *sql_verdict_name(unsigned int verdict)
{
	static const char *const names[] = {
		[SQL_DENY] = "deny",
		[SQL_ALLOW] = "allow",
		[SQL_KILL] = "kill",
	};

	return verdict < ARRAY_LEN(names) ? names[verdict] : names[SQL_DENY];
}

const char *sql_kind_name(unsigned int kind)
{
	static const char *const names[SQL_KIND_COUNT] = {
		[SQL_KIND_NONE] = "none",
		[SQL_KIND_EMPTY] = "empty",
		[SQL_KIND_SELECT] = "select",
		[SQL_KIND_EXPLAIN] = "explain",
		[SQL_KIND_SHOW] = "show",
		[SQL_KIND_COPY_OUT] = "copy",
		[SQL_KIND_DECLARE] = "declare",
		[SQL_KIND_FETCH] = "fetch",
		[SQL_KIND_CLOSE] = "close",
		[SQL_KIND_PREPARE] = "prepare",
		[SQL_KIND_EXECUTE] = "execute",
		[SQL_KIND_DEALLOCATE] = "deallocate",
		[SQL_KIND_SET] = "set",
		[SQL_KIND_RESET] = "reset",
		[SQL_KIND_RESET_ALL] = "reset-all",
		[SQL_KIND_DISCARD_ALL] = "discard-all",
		[SQL_KIND_BEGIN] = "begin",
		[SQL_KIND_COMMIT] = "commit",
		[SQL_KIND_ROLLBACK] = "rollback",
		[SQL_KIND_SAVEPOINT] = "savepoint",
		[SQL_KIND_RELEASE] = "release",
		[SQL_KIND_ROLLBACK_TO] = "rollback-to",
		[SQL_KIND_SET_TRANSACTION] = "set-transaction",
		[SQL_KIND_SET_CHARACTERISTICS] = "set-characteristics",
		[SQL_KIND_LOCK_NOOP] = "lock",
	};

	return kind < SQL_KIND_COUNT ? names[kind] : "none";
}
