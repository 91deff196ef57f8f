/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PostgreSQL settings that a client may change, and to what. Thread-safe.
 */
#ifndef SQL_PG_SETTINGS_H
#define SQL_PG_SETTINGS_H

#include "sql/sql.h"

/* Values of one SET: names of a search_path, or the parts of a DateStyle. */
#define PG_VALUES_MAX 16

/*
 * SET name TO values[n]. Each of search_path's values is one name, as it is. On 0 *r has name,
 * value and noop; -EPERM: *r is the refusal.
 */
int pg_setting_set(struct sql_result *r, const char *name, const char *const *values,
		   size_t n) __must_check;

/* set_config(name, value, ...): the value is one string in the setting's own syntax. As above. */
int pg_setting_config(struct sql_result *r, const char *name, const char *value) __must_check;

/* RESET name, or SET name TO DEFAULT. As above, with is_default and no value. */
int pg_setting_reset(struct sql_result *r, const char *name) __must_check;

#endif
