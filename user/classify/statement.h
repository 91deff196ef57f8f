/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there is a classifier for, and what a line of input says to it. Pure.
 */
#ifndef CLASSIFY_STATEMENT_H
#define CLASSIFY_STATEMENT_H

#include <stdbool.h>

#include "classify/input.h"
#include "gate/verdict.h"

/* Bytes of a JSON line: six for each byte of the longest statement, and room for other members. */
#define STATEMENT_JSON_MAX (8 * 1024 * 1024)

/* A type of database, by the word that a policy has for it. */
struct statement_type {
	const char *name;
	const char *key; /* of the statement in a JSON line */
	enum sql_dialect dialect;
	/*
	 * Bytes of the longest statement that one message of the protocol holds, and whether text
	 * can be in a message at all; false: *ret is what the gate says to it. Of a longer text
	 * nothing but its length is looked at.
	 */
	size_t max;
	bool (*framed)(const char *text, size_t len, struct sql_result *ret);
};

/* Ends with a NULL name. */
extern const struct statement_type statement_types[];
/* NULL: there is none. */
const struct statement_type *statement_type(const char *name);

/*
 * The verdict on a line that can be given without parsing it, in ret->result with decided set; or
 * the text to ask for. *ret is a new reference. 0; -EINVAL, too, when the line could not be read,
 * which is a denial; -ENOMEM and *ret is untouched.
 */
int statement_read(const struct statement_type *type, bool json, const struct input_line *line,
		   struct verdict **ret) __must_check;

#endif
