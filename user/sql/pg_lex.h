/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second opinion on PostgreSQL text: a small lexer of our own that shares nothing with the
 * parser. It bounds the text before it is parsed, and what it sees has to agree with the tree.
 * It assumes what the gate pins: UTF-8, standard_conforming_strings on.
 */
#ifndef SQL_PG_LEX_H
#define SQL_PG_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

enum pg_token {
	PG_TOK_END,
	PG_TOK_BAD,  /* nothing that PostgreSQL's lexer takes: unterminated, junk after a number */
	PG_TOK_WORD, /* bare identifier or keyword */
	PG_TOK_QUOTED,	/* "x" */
	PG_TOK_UQUOTED, /* U&"x" */
	/* Literals; each kind has a fingerprint of its own. */
	PG_TOK_STRING,
	PG_TOK_ESTRING,
	PG_TOK_USTRING,
	PG_TOK_NSTRING,
	PG_TOK_BITS,
	PG_TOK_HEX,
	PG_TOK_DOLLAR,
	PG_TOK_NUMBER,
	PG_TOK_PARAM, /* $1 */
	PG_TOK_OP,    /* a run of operator characters */
	PG_TOK_CHAR,  /* any other single byte */
};

struct pg_lexer {
	const char *text; /* borrowed */
	size_t len;
	size_t pos;   /* the next byte to look at */
	size_t start; /* of the token returned last; it ends at pos */
	size_t run;   /* where the operator characters that pos stands among began */
};

/* The next token; after PG_TOK_BAD or PG_TOK_END do not go on. */
enum pg_token pg_lex_next(struct pg_lexer *lx);

/* What the lexer saw of a whole text. */
struct pg_outline {
	size_t tokens;
	size_t statements; /* separated by semicolons outside parentheses, empty ones not counted */
	size_t depth;	   /* of parentheses and brackets, at most */
	bool into;	   /* the keyword INTO anywhere, not as a label */
	bool locking;	   /* FOR UPDATE | NO KEY | SHARE | KEY SHARE outside parentheses */
	char first[16]; /* the first word, lower case, opening parentheses skipped; "" = no word */
	uint64_t fingerprint;
};

/*
 * Outline text. -EINVAL: it cannot be lexed, *ret_at is where. -E2BIG: past SQL_TOKENS_MAX or
 * SQL_DEPTH_MAX. Linear time, no memory. Thread-safe.
 */
int pg_outline(const char *text, size_t len, struct pg_outline *ret, size_t *ret_at) __must_check;

#endif
