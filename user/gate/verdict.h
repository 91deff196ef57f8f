/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts on statement texts and a cache of them: exact bytes under a keyed 128-bit hash, with a
 * full compare, in bounded memory. One thread.
 */
#ifndef GATE_VERDICT_H
#define GATE_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sql/sql.h"

/* A text and what was decided on it. Never changed once made; counted references. */
struct verdict {
	unsigned int refs;
	bool decided; /* by the parser; false: it was silent, crashed or is gone: never kept */
	struct sql_result result;
	size_t len;
	char text[]; /* len bytes and a NUL */
};

/* A verdict with one reference, the result all zero (a denial): NULL = -ENOMEM. */
struct verdict *verdict_new(const char *text, size_t len);
struct verdict *verdict_ref(struct verdict *v);
void verdict_unref(struct verdict *v);
/* Make *r a denial, in these words; what does not fit is cut. */
void verdict_deny(struct sql_result *r, const char *rule, const char *sqlstate, const char *reason);

struct vcache;

/* A cache of at most bytes, its key drawn from the kernel. NULL when memory or key fail. */
struct vcache *vcache_new(size_t bytes);
void vcache_free(struct vcache *c);

/* The verdict on exactly this text, borrowed until the next call on c; NULL = not known. */
struct verdict *vcache_find(struct vcache *c, const char *text, size_t len);
/* Keep v (a reference is taken) unless it is undecided, too long, or known. */
void vcache_add(struct vcache *c, struct verdict *v);
/* Bytes held now. */
size_t vcache_bytes(const struct vcache *c);

#endif
