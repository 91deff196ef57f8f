/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classifying PostgreSQL text: bounds and outline, the parser, the walk, and the agreement of the
 * two readings of the text.
 */
#include "sql/pg_classify.h"

#include <errno.h>

#include "pg_query.h"
/* Its header turns a debugging switch on that nothing here reads. */
#include "pg_query/pg_query_internal.h"

#include "sql/pg_lex.h"
#include "sql/pg_stmt.h"
#include "sql/pg_walk.h"
#include "sql/result.h"

struct parsed {
	MemoryContext context;
	PgQueryInternalParsetreeAndError tree;
};

static void parsed_free(struct parsed *p)
{
	if (!p->context)
		return;
	if (p->tree.error)
		pg_query_free_error(p->tree.error);
	free(p->tree.stderr_buffer);
	pg_query_exit_memory_context(p->context);
	p->context = NULL;
}

#define __cleanup_parsed __cleanup(parsed_free)

/* PostgreSQL counts positions in characters, the tree has bytes. */
static uint32_t in_characters(const char *text, size_t len, uint32_t position)
{
	uint32_t n = 1;

	if (position == 0 || position > len)
		return 0;
	for (uint32_t i = 0; i + 1 < position; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

/* The first words that a statement of this kind may begin with, '|' around each. */
static bool first_word_fits(enum sql_kind kind, const char *word)
{
	static const char *const words[SQL_KIND_COUNT] = {
		[SQL_KIND_SELECT] = "|select|values|table|with|",
		[SQL_KIND_EXPLAIN] = "|explain|",
		[SQL_KIND_SHOW] = "|show|",
		[SQL_KIND_COPY_OUT] = "|copy|",
		[SQL_KIND_DECLARE] = "|declare|",
		[SQL_KIND_FETCH] = "|fetch|move|",
		[SQL_KIND_CLOSE] = "|close|",
		[SQL_KIND_PREPARE] = "|prepare|",
		[SQL_KIND_EXECUTE] = "|execute|",
		[SQL_KIND_DEALLOCATE] = "|deallocate|",
		[SQL_KIND_SET] = "|set|select|",
		[SQL_KIND_RESET] = "|reset|set|",
		[SQL_KIND_RESET_ALL] = "|reset|",
		[SQL_KIND_DISCARD_ALL] = "|discard|",
		[SQL_KIND_BEGIN] = "|begin|start|",
		[SQL_KIND_COMMIT] = "|commit|end|",
		[SQL_KIND_ROLLBACK] = "|rollback|abort|",
		[SQL_KIND_SAVEPOINT] = "|savepoint|",
		[SQL_KIND_RELEASE] = "|release|",
		[SQL_KIND_ROLLBACK_TO] = "|rollback|",
		[SQL_KIND_SET_TRANSACTION] = "|set|",
		[SQL_KIND_SET_CHARACTERISTICS] = "|set|",
		[SQL_KIND_LOCK_NOOP] = "|lock|",
	};
	size_t n = strlen(word);

	for (const char *at = words[kind]; at && *at; at = strchr(at + 1, '|'))
		if (n > 0 && !strncmp(at + 1, word, n) && at[n + 1] == '|')
			return true;
	return false;
}

/* What was allowed has to look that way to the lexer too. */
static int agree(struct pg_walk *w, const struct pg_outline *seen)
{
	const char *about = NULL;

	if (seen->statements != w->result->statements)
		about = "the number of statements";
	else if (!first_word_fits((enum sql_kind)w->result->kind, seen->first))
		about = "the first word";
	else if (seen->into)
		about = "INTO";
	else if (seen->locking)
		about = "FOR UPDATE";
	if (!about)
		return 0;
	w->result->position = 0;
	return result_deny(w->result, "P62", STATE_UNSUPPORTED,
			   "two readings of this text differ on %s", about);
}

static int judge(struct pg_walk *w, const List *tree, const struct pg_outline *seen)
{
	int r;

	w->result->statements = tree ? (uint32_t)tree->length : 0;
	if (!tree) {
		w->result->verdict = SQL_ALLOW;
		w->result->kind = SQL_KIND_EMPTY;
		w->result->literal_independent = true;
		return seen->statements ? agree(w, seen) : 0;
	}
	if (tree->length > 1) {
		w->result->literal_independent = true;
		r = pg_deny(w, -1, "P19", STATE_UNSUPPORTED,
			    "more than one statement in one query");
		result_hint(w->result, "send one statement at a time");
		return r;
	}
	const RawStmt *raw = tree->elements[0].ptr_value;

	r = pg_statement(w, raw->stmt);
	return r < 0 ? r : agree(w, seen);
}

static int deny_syntax(struct sql_result *out, const PgQueryError *e)
{
	out->position = 0;
	return result_deny(out, "P65", STATE_SYNTAX, "%s",
			   e->message ? e->message : "syntax error");
}

static int parse_and_judge(const char *text, size_t len, const struct pg_outline *seen,
			   struct pg_walk *w)
{
	__cleanup_parsed struct parsed p = {0};
	int r;

	p.context = pg_query_enter_memory_context();
	p.tree = pg_query_raw_parse(text);
	if (p.tree.error) {
		int at = p.tree.error->cursorpos;

		r = deny_syntax(w->result, p.tree.error);
		w->result->position = at > 0 && (size_t)at <= len + 1 ? (uint32_t)at : 0;
		return r;
	}
	r = judge(w, p.tree.tree, seen);
	w->result->position = in_characters(text, len, w->result->position);
	return r;
}

static int outline(const char *text, size_t len, struct pg_outline *seen, struct sql_result *out)
{
	size_t at = 0;
	int r = pg_outline(text, len, seen, &at);

	if (r == -E2BIG)
		return result_deny(out, "P67", STATE_TOO_COMPLEX,
				   "more than %d tokens, or nested deeper than %d", SQL_TOKENS_MAX,
				   SQL_DEPTH_MAX);
	if (r == -EINVAL) {
		out->position = in_characters(text, len, (uint32_t)at + 1);
		return result_deny(out, "P64", STATE_SYNTAX,
				   "unterminated quote or comment, or a malformed number");
	}
	return r;
}

int pg_classify(const char *text, size_t len, struct sql_result *ret)
{
	struct sql_result out = {0};
	struct pg_outline seen;
	__cleanup_walk struct pg_walk w = {.result = &out, .first_word = seen.first};
	__cleanup_free char *copy = NULL;
	int r = outline(text, len, &seen, &out);

	if (r == 0) {
		out.fingerprint = seen.fingerprint;
		copy = malloc(len + 1);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, text, len);
		copy[len] = '\0';
		r = parse_and_judge(copy, len, &seen, &w);
	}
	if (r < 0 && r != -EPERM)
		return r;
	if (out.verdict == SQL_DENY && !out.hint[0])
		result_hint(&out,
			    "this database is reached through a gate that lets reads through");
	*ret = out;
	return 0;
}
