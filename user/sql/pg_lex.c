/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second opinion on PostgreSQL text. Written from the lexical rules of the PostgreSQL 15
 * manual, chapter 4.1, not from its scanner; it knows tokens and parentheses, no grammar.
 */
#include "sql/pg_lex.h"

#include <errno.h>
#include <string.h>

#include "sql/sql.h"

/* Bytes of operator characters in a row before the last operator or comment that begins there. */
#define RUN_MAX 128

/* What a byte may be; tables, because every byte of every statement is asked. */
enum { SPACE = 1, NEWLINE = 2, DIGIT = 4, START = 8, OPERATOR = 16 };

static const uint8_t classes[256] = {
	[' '] = SPACE,
	['\t'] = SPACE,
	['\f'] = SPACE,
	['\n'] = SPACE | NEWLINE,
	['\r'] = SPACE | NEWLINE,
	['0' ... '9'] = DIGIT,
	['a' ... 'z'] = START,
	['A' ... 'Z'] = START,
	['_'] = START,
	[0x80 ... 0xff] = START,
	['~'] = OPERATOR,
	['!'] = OPERATOR,
	['@'] = OPERATOR,
	['#'] = OPERATOR,
	['^'] = OPERATOR,
	['&'] = OPERATOR,
	['|'] = OPERATOR,
	['`'] = OPERATOR,
	['?'] = OPERATOR,
	['+'] = OPERATOR,
	['-'] = OPERATOR,
	['*'] = OPERATOR,
	['/'] = OPERATOR,
	['%'] = OPERATOR,
	['<'] = OPERATOR,
	['>'] = OPERATOR,
	['='] = OPERATOR,
};

static bool is_space(unsigned char c)
{
	return classes[c] & SPACE;
}

static bool is_newline(unsigned char c)
{
	return classes[c] & NEWLINE;
}

static bool is_digit(unsigned char c)
{
	return classes[c] & DIGIT;
}

static bool is_word_start(unsigned char c)
{
	return classes[c] & START;
}

static bool is_word(unsigned char c)
{
	return (classes[c] & (START | DIGIT)) || c == '$';
}

static bool is_op(unsigned char c)
{
	return classes[c] & OPERATOR;
}

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

/* The byte n after pos, or 0 behind the end: the text holds no NUL. */
static unsigned char peek(const struct pg_lexer *lx, size_t n)
{
	return n < lx->len - lx->pos ? (unsigned char)lx->text[lx->pos + n] : 0;
}

static bool at_comment(const struct pg_lexer *lx)
{
	return (peek(lx, 0) == '-' && peek(lx, 1) == '-') ||
	       (peek(lx, 0) == '/' && peek(lx, 1) == '*');
}

static void skip_line(struct pg_lexer *lx)
{
	while (lx->pos < lx->len && !is_newline(peek(lx, 0)))
		lx->pos++;
}

/*
 * At an operator or a comment: whether it begins too far into a run of operator characters. The
 * parser's scanner reads to the end of the run each time something begins in it, and once more for
 * each character of a long operator; without a bound that takes it minutes.
 */
static bool is_far_in_run(struct pg_lexer *lx)
{
	if (lx->pos == 0 || !is_op((unsigned char)lx->text[lx->pos - 1]))
		lx->run = lx->pos;
	return lx->pos - lx->run > RUN_MAX;
}

/* Block comments nest. False when one does not end. */
static bool skip_block(struct pg_lexer *lx)
{
	size_t depth = 0;

	do {
		if (lx->pos >= lx->len)
			return false;
		if (!is_op(peek(lx, 0)))
			lx->run = lx->pos + 1;
		if (peek(lx, 0) == '/' && peek(lx, 1) == '*') {
			if (is_far_in_run(lx))
				return false;
			depth++;
			lx->pos += 2;
		} else if (peek(lx, 0) == '*' && peek(lx, 1) == '/') {
			depth--;
			lx->pos += 2;
		} else {
			lx->pos++;
		}
	} while (depth > 0);
	return true;
}

static bool skip_blank(struct pg_lexer *lx)
{
	for (;;) {
		if (is_space(peek(lx, 0)))
			lx->pos++;
		else if (peek(lx, 0) == '-' && peek(lx, 1) == '-')
			skip_line(lx);
		else if (peek(lx, 0) == '/' && peek(lx, 1) == '*') {
			if (!skip_block(lx))
				return false;
		} else {
			return true;
		}
	}
}

/*
 * Behind a closing quote: 'a' <newline> 'b' is one string, with the rules of its first part. Only
 * blanks and line comments may stand between, and a newline must. Moves past the opening quote.
 */
static bool string_goes_on(struct pg_lexer *lx)
{
	struct pg_lexer ahead = *lx;
	bool newline = false;

	for (;;) {
		unsigned char c = peek(&ahead, 0);

		if (is_space(c)) {
			newline |= is_newline(c);
			ahead.pos++;
		} else if (c == '-' && peek(&ahead, 1) == '-') {
			skip_line(&ahead);
			/* A comment after the newline has to end in one of its own. */
			newline = false;
		} else {
			break;
		}
	}
	if (!newline || peek(&ahead, 0) != '\'')
		return false;
	lx->pos = ahead.pos + 1;
	return true;
}

/* From behind the opening quote. */
static enum pg_token lex_string(struct pg_lexer *lx, enum pg_token kind)
{
	while (lx->pos < lx->len) {
		unsigned char c = peek(lx, 0);

		if (kind == PG_TOK_ESTRING && c == '\\' && lx->len - lx->pos >= 2)
			lx->pos += 2;
		else if (c != '\'')
			lx->pos++;
		else if (peek(lx, 1) == '\'')
			lx->pos += 2;
		else {
			lx->pos++;
			if (!string_goes_on(lx))
				return kind;
		}
	}
	return PG_TOK_BAD;
}

/* From behind the opening quote. A quoted name is not empty. */
static enum pg_token lex_quoted(struct pg_lexer *lx, enum pg_token kind)
{
	size_t begin = lx->pos;

	while (lx->pos < lx->len) {
		if (peek(lx, 0) != '"')
			lx->pos++;
		else if (peek(lx, 1) == '"')
			lx->pos += 2;
		else
			return lx->pos++ > begin ? kind : PG_TOK_BAD;
	}
	return PG_TOK_BAD;
}

/* At a '$' that no word holds: a parameter or a dollar quote. */
static enum pg_token lex_dollar(struct pg_lexer *lx)
{
	size_t tag = lx->pos, n = 1;

	if (is_digit(peek(lx, 1))) {
		do
			lx->pos++;
		while (is_digit(peek(lx, 0)));
		return is_word_start(peek(lx, 0)) ? PG_TOK_BAD : PG_TOK_PARAM;
	}
	if (is_word_start(peek(lx, 1)))
		while (is_word(peek(lx, n)) && peek(lx, n) != '$')
			n++;
	if (peek(lx, n) != '$')
		return PG_TOK_BAD;
	n++;
	for (lx->pos += n; lx->len - lx->pos >= n; lx->pos++) {
		if (peek(lx, 0) == '$' && !memcmp(lx->text + lx->pos, lx->text + tag, n)) {
			lx->pos += n;
			return PG_TOK_DOLLAR;
		}
	}
	return PG_TOK_BAD;
}

static enum pg_token lex_number(struct pg_lexer *lx)
{
	while (is_digit(peek(lx, 0)))
		lx->pos++;
	/* 1..2 is two numbers around "..", as in array slices of PL/pgSQL. */
	if (peek(lx, 0) == '.' && peek(lx, 1) != '.') {
		lx->pos++;
		while (is_digit(peek(lx, 0)))
			lx->pos++;
	}
	if (lower(peek(lx, 0)) == 'e') {
		size_t sign = peek(lx, 1) == '+' || peek(lx, 1) == '-';

		if (!is_digit(peek(lx, 1 + sign)))
			return PG_TOK_BAD;
		lx->pos += 1 + sign;
		while (is_digit(peek(lx, 0)))
			lx->pos++;
	}
	return is_word_start(peek(lx, 0)) ? PG_TOK_BAD : PG_TOK_NUMBER;
}

/* A string with a letter before it, or a word. */
static enum pg_token lex_word(struct pg_lexer *lx)
{
	static const struct {
		char letter;
		enum pg_token kind;
	} prefixes[] = {{'e', PG_TOK_ESTRING},
			{'b', PG_TOK_BITS},
			{'x', PG_TOK_HEX},
			{'n', PG_TOK_NSTRING}};
	unsigned char c = lower(peek(lx, 0));

	if (c == 'u' && peek(lx, 1) == '&' && (peek(lx, 2) == '\'' || peek(lx, 2) == '"')) {
		bool name = peek(lx, 2) == '"';

		lx->pos += 3;
		return name ? lex_quoted(lx, PG_TOK_UQUOTED) : lex_string(lx, PG_TOK_USTRING);
	}
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (c == prefixes[i].letter && peek(lx, 1) == '\'') {
			lx->pos += 2;
			return lex_string(lx, prefixes[i].kind);
		}
	}
	while (is_word(peek(lx, 0)))
		lx->pos++;
	return PG_TOK_WORD;
}

static enum pg_token lex_operator(struct pg_lexer *lx)
{
	if (is_far_in_run(lx))
		return PG_TOK_BAD;
	do
		lx->pos++;
	while (is_op(peek(lx, 0)) && !at_comment(lx));
	return lx->pos - lx->start < SQL_NAME_SIZE ? PG_TOK_OP : PG_TOK_BAD;
}

enum pg_token pg_lex_next(struct pg_lexer *lx)
{
	unsigned char c;

	if (!skip_blank(lx))
		return PG_TOK_BAD;
	lx->start = lx->pos;
	if (lx->pos >= lx->len)
		return PG_TOK_END;
	c = peek(lx, 0);
	if (is_word_start(c))
		return lex_word(lx);
	if (is_digit(c) || (c == '.' && is_digit(peek(lx, 1))))
		return lex_number(lx);
	if (c == '$')
		return lex_dollar(lx);
	if (is_op(c))
		return lex_operator(lx);
	lx->pos++;
	if (c == '\'')
		return lex_string(lx, PG_TOK_STRING);
	if (c == '"')
		return lex_quoted(lx, PG_TOK_QUOTED);
	return PG_TOK_CHAR;
}

static bool is_literal(enum pg_token t)
{
	return t >= PG_TOK_STRING && t <= PG_TOK_NUMBER;
}

/* FNV-1a, 64 bits. */
static uint64_t mix(uint64_t h, unsigned char c)
{
	return (h ^ c) * 0x100000001b3;
}

/* What the outline remembers between tokens. */
struct outliner {
	struct pg_outline *out;
	const struct pg_lexer *lx;
	enum pg_token prev, prev2; /* the tokens before this one, END at the start */
	char prev_char;		   /* of prev, when it is a PG_TOK_CHAR */
	char word[16];		   /* this token, lower case, when it is a short word; or "" */
	char prev_word[16];
	size_t depth;
	bool fresh;  /* nothing of this statement seen yet */
	bool folded; /* the literals of a list after its first are left out of the fingerprint */
};

static void take_word(struct outliner *o, enum pg_token t)
{
	size_t n = o->lx->pos - o->lx->start;

	memcpy(o->prev_word, o->word, sizeof(o->word));
	o->word[0] = '\0';
	if (t != PG_TOK_WORD || n >= sizeof(o->word))
		return;
	for (size_t i = 0; i < n; i++)
		o->word[i] = (char)lower((unsigned char)o->lx->text[o->lx->start + i]);
	o->word[n] = '\0';
}

/* After AS or a dot even a reserved word is only a name. */
static bool is_label(const struct outliner *o)
{
	return !strcmp(o->prev_word, "as") || (o->prev == PG_TOK_CHAR && o->prev_char == '.');
}

static void note_keywords(struct outliner *o)
{
	static const char *const locks[] = {"update", "no", "share", "key"};

	if (o->word[0] == 'i' && !strcmp(o->word, "into") && !is_label(o))
		o->out->into = true;
	if (o->depth > 0 || o->prev_word[0] != 'f' || strcmp(o->prev_word, "for") != 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(locks); i++)
		if (!strcmp(o->word, locks[i]))
			o->out->locking = true;
}

static void note_structure(struct outliner *o, enum pg_token t)
{
	char c = t == PG_TOK_CHAR ? o->lx->text[o->lx->start] : '\0';

	if (c == ';' && o->depth == 0) {
		o->fresh = true;
		return;
	}
	if (o->fresh) {
		o->fresh = false;
		o->out->statements++;
	}
	if (c == '(' || c == '[') {
		o->depth++;
		if (o->depth > o->out->depth)
			o->out->depth = o->depth;
	} else if ((c == ')' || c == ']') && o->depth > 0) {
		o->depth--;
	}
}

static void note_first(struct outliner *o, enum pg_token t)
{
	bool opening = t == PG_TOK_CHAR &&
		       (o->lx->text[o->lx->start] == '(' || o->lx->text[o->lx->start] == ';');

	if (o->out->statements > 1 || o->out->first[0] || opening)
		return;
	if (t == PG_TOK_WORD && o->word[0])
		memcpy(o->out->first, o->word, sizeof(o->word));
	else
		o->out->first[0] = '?';
}

/* Literals become their kind; "1, 2, 3" becomes "1, +", so that lists of any length are one. */
static void note_fingerprint(struct outliner *o, enum pg_token t)
{
	uint64_t h = o->out->fingerprint;

	if (is_literal(t) && o->prev == PG_TOK_CHAR && o->prev_char == ',' &&
	    is_literal(o->prev2)) {
		if (!o->folded)
			h = mix(mix(h, '+'), (unsigned char)t);
		o->folded = true;
	} else if (is_literal(t)) {
		o->folded = false;
		h = mix(mix(h, 0), (unsigned char)t);
	} else if (!(o->folded && t == PG_TOK_CHAR && o->lx->text[o->lx->start] == ',')) {
		h = mix(mix(h, 1), (unsigned char)t);
		for (size_t i = o->lx->start; i < o->lx->pos; i++) {
			unsigned char c = (unsigned char)o->lx->text[i];

			h = mix(h, t == PG_TOK_WORD ? lower(c) : c);
		}
		o->folded = false;
	}
	o->out->fingerprint = h;
}

static int note_token(struct outliner *o, enum pg_token t)
{
	if (++o->out->tokens > SQL_TOKENS_MAX)
		return -E2BIG;
	take_word(o, t);
	note_structure(o, t);
	if (o->out->depth > SQL_DEPTH_MAX)
		return -E2BIG;
	note_first(o, t);
	note_keywords(o);
	note_fingerprint(o, t);
	o->prev2 = o->prev;
	o->prev = t;
	o->prev_char = t == PG_TOK_CHAR ? o->lx->text[o->lx->start] : '\0';
	return 0;
}

int pg_outline(const char *text, size_t len, struct pg_outline *ret, size_t *ret_at)
{
	struct pg_outline out = {.fingerprint = 0xcbf29ce484222325};
	struct pg_lexer lx = {.text = text, .len = len};
	struct outliner o = {.out = &out, .lx = &lx, .prev = PG_TOK_END, .fresh = true};

	for (;;) {
		enum pg_token t = pg_lex_next(&lx);
		int r;

		if (t == PG_TOK_END)
			break;
		if (t == PG_TOK_BAD) {
			*ret_at = lx.start;
			return -EINVAL;
		}
		r = note_token(&o, t);
		if (r < 0)
			return r;
	}
	*ret = out;
	return 0;
}
