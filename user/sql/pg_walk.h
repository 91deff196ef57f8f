/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over a raw PostgreSQL parse tree: every node of everything that is to run has to be of a
 * kind that only reads. Iterative, with an explicit stack and a budget.
 */
#ifndef SQL_PG_WALK_H
#define SQL_PG_WALK_H

#include "postgres.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

#include "sql/sql.h"

#if PG_MAJORVERSION_NUM != 15
#error "libpg_query 15 makes the nodes of PostgreSQL 15: build against that server's headers"
#endif

struct pg_pending {
	const Node *node; /* borrowed from the parse tree, as all below */
	unsigned int depth;
};

struct pg_walk {
	struct sql_result *result;
	const char *first_word;	  /* of the text, for refusals; lower case */
	struct pg_pending *stack; /* owned */
	size_t n, room;
	size_t nodes; /* pushed so far */
	/* For relations of which only some columns are secret. */
	bool partly_secret;    /* one was named */
	bool may_reach_secret; /* a star, a whole row or the column's own name was */
};

#define __cleanup_walk __cleanup(pg_walk_free)
void pg_walk_free(struct pg_walk *w);

/*
 * Judge everything under node, NULL included. 0: reads only. -EPERM: refused, w->result says why.
 * -ENOMEM. May be called again for further trees of the same text; the budget is one.
 */
int pg_walk_tree(struct pg_walk *w, const void *node) __must_check;

/* Refuse as result_deny(), pointing at a byte of the text (-1: unknown). -EPERM. */
int pg_deny(struct pg_walk *w, int location, const char *rule, const char *state,
	    const char *what) __must_check;

/* Refuse a statement that is not on the list; nested: it stands inside another one. -EPERM. */
int pg_deny_statement(struct pg_walk *w, const Node *node, bool nested) __must_check;

#endif
