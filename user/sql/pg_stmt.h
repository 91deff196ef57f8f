/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statements that the PostgreSQL classifier knows: which of them read, and what the gate has to
 * know about each.
 */
#ifndef SQL_PG_STMT_H
#define SQL_PG_STMT_H

#include "sql/pg_walk.h"

/*
 * Judge one statement. 0: w->result has verdict, kind and what goes with it. -EPERM: refused, it
 * says why. -ENOMEM.
 */
int pg_statement(struct pg_walk *w, const Node *stmt) __must_check;

#endif
