/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PostgreSQL classifier, behind sql_classify().
 */
#ifndef SQL_PG_CLASSIFY_H
#define SQL_PG_CLASSIFY_H

#include "sql/sql.h"

/* As sql_classify(), for text that sql_precheck() has let through. */
int pg_classify(const char *text, size_t len, struct sql_result *ret) __must_check;

#endif
