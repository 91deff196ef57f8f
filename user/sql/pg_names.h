/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What names mean to the PostgreSQL classifier: functions and operators that may be called,
 * relations that may not be read, and which catalogue row speaks about a refused one. All names are
 * as PostgreSQL's lexer leaves them: unquoted, folded, escapes decoded. Thread-safe.
 */
#ifndef SQL_PG_NAMES_H
#define SQL_PG_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

/* Sorted by bytes. Generated. */
extern const char *const pg_function_names[];
extern const size_t n_pg_function_names;
extern const char *const pg_operator_names[];
extern const size_t n_pg_operator_names;

/* schema is NULL when the text has none. */
bool pg_function_known(const char *schema, const char *name);
bool pg_operator_known(const char *name);

/*
 * x.name and (x).name call a function with x as its only argument where x has no such column. A
 * column may have nearly any name, so these are refused: the built-in functions that take one
 * argument and do more than read, those of known extensions, and what PostgreSQL keeps for itself.
 */
bool pg_attribute_known(const char *name);

/* Why a function that is not known is refused. Static. */
struct pg_refusal {
	const char *rule;
	const char *why; /* follows the name: "... changes a sequence" */
};
const struct pg_refusal *pg_function_refusal(const char *name);

/* Whether reading schema.name (schema NULL when the text has none) is refused (P69). */
bool pg_relation_secret(const char *schema, const char *name);

#endif
