/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups of PostgreSQL names. The allow-lists are generated (pg_names_table.c); here is what
 * cannot be: relations that hold secrets, and the words for refusals.
 */
#include "sql/pg_names.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *key, const void *element)
{
	return strcmp(key, *(const char *const *)element);
}

static bool listed(const char *name, const char *const *table, size_t n)
{
	return bsearch(name, table, n, sizeof(*table), by_name) != NULL;
}

bool pg_function_known(const char *schema, const char *name)
{
	/* JDBC's metadata queries call this one; it belongs to the server like pg_catalog's. */
	if (schema && !strcmp(schema, "information_schema"))
		return !strcmp(name, "_pg_expandarray");
	if (schema && strcmp(schema, "pg_catalog") != 0)
		return false;
	return listed(name, pg_function_names, n_pg_function_names);
}

bool pg_operator_known(const char *name)
{
	return listed(name, pg_operator_names, n_pg_operator_names);
}

bool pg_attribute_known(const char *name)
{
	static const char *const prefixes[] = {"binary_upgrade_", "dblink", "pg_", "postgres_fdw_"};
	static const char *const names[] = {
		"brin_summarize_new_values",
		"crosstab",
		"crosstab2",
		"crosstab3",
		"crosstab4",
		"currval",
		"gin_clean_pending_list",
		"http",
		"http_delete",
		"http_get",
		"http_head",
		"lo_close",
		"lo_creat",
		"lo_create",
		"lo_import",
		"lo_tell",
		"lo_tell64",
		"lo_unlink",
		"nextval",
		"setseed",
		"ts_stat",
		"txid_status",
	};

	if (listed(name, names, ARRAY_LEN(names)))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return listed(name, pg_function_names, n_pg_function_names);
	return true;
}

/* The first prefix that fits speaks, so the longer stands before the shorter. */
static const struct {
	const char *prefix;
	struct pg_refusal refusal;
} refusals[] = {
	{"set_config", {"P38", "changes settings"}},
	{"nextval", {"P43", "changes a sequence"}},
	{"setval", {"P43", "changes a sequence"}},
	{"currval", {"P43", "belongs to changes of a sequence"}},
	{"lastval", {"P43", "belongs to changes of a sequence"}},
	{"lo_", {"P44", "changes large objects"}},
	{"lowrite", {"P44", "changes large objects"}},
	{"loread", {"P44", "needs a large object descriptor"}},
	{"pg_notify", {"P45", "sends a notification"}},
	{"pg_listening_channels", {"P45", "belongs to notifications"}},
	{"pg_advisory_", {"P46", "takes locks"}},
	{"pg_try_advisory_", {"P46", "takes locks"}},
	{"pg_reload_conf", {"P50", "administers the server"}},
	{"pg_rotate_logfile", {"P50", "administers the server"}},
	{"pg_switch_wal", {"P50", "administers the server"}},
	{"pg_create_restore_point", {"P50", "administers the server"}},
	{"pg_backup_", {"P50", "administers the server"}},
	{"pg_promote", {"P50", "administers the server"}},
	{"pg_wal_replay_", {"P50", "administers the server"}},
	{"pg_log_backend_memory_contexts", {"P50", "administers the server"}},
	{"pg_create_", {"P51", "administers replication"}},
	{"pg_drop_replication", {"P51", "administers replication"}},
	{"pg_copy_", {"P51", "administers replication"}},
	{"pg_replication_", {"P51", "administers replication"}},
	{"pg_logical_", {"P51", "administers replication"}},
	{"pg_terminate_backend", {"P52", "ends other sessions"}},
	{"pg_cancel_backend", {"P52", "disturbs other sessions"}},
	{"pg_sleep", {"P53", "only holds the connection"}},
	{"pg_read_", {"P54", "reads the server's files"}},
	{"pg_ls_", {"P54", "reads the server's files"}},
	{"pg_stat_file", {"P54", "reads the server's files"}},
	{"pg_file_", {"P54", "writes the server's files"}},
	{"pg_current_logfile", {"P54", "reads the server's files"}},
	{"dblink", {"P55", "reaches other servers"}},
	{"postgres_fdw_", {"P55", "reaches other servers"}},
	{"http", {"P55", "reaches other servers"}},
	{"aws_", {"P55", "reaches other servers"}},
	{"query_to_xml", {"P56", "runs text as SQL"}},
	{"cursor_to_xml", {"P56", "runs text as SQL"}},
	{"table_to_xml", {"P56", "reads tables by name"}},
	{"schema_to_xml", {"P56", "reads tables by name"}},
	{"database_to_xml", {"P56", "reads tables by name"}},
	{"ts_stat", {"P56", "runs text as SQL"}},
	{"ts_rewrite", {"P56", "runs text as SQL"}},
	{"crosstab", {"P56", "runs text as SQL"}},
	{"connectby", {"P56", "runs text as SQL"}},
	{"xpath_table", {"P56", "runs text as SQL"}},
	{"pg_execute_", {"P56", "runs text as SQL"}},
	{"pg_stat_get_activity", {"P69", "shows other sessions"}},
	{"pg_stat_get_backend_activity", {"P69", "shows other sessions"}},
	{"pg_stat_get_wal_receiver", {"P69", "shows credentials of the server"}},
	{"pg_hba_file_rules", {"P69", "shows who may log in"}},
	{"pg_ident_file_mappings", {"P69", "shows who may log in"}},
	{"pg_show_all_file_settings", {"P69", "shows the server's configuration files"}},
	{"pg_stat_", {"P57", "changes or drops statistics"}},
	{"gin_clean_", {"P57", "does maintenance"}},
	{"brin_", {"P57", "does maintenance"}},
	{"pg_import_system_collations", {"P57", "changes the catalogue"}},
	{"pg_nextoid", {"P57", "changes the catalogue"}},
	{"pg_prewarm", {"P57", "does maintenance"}},
	{"pg_truncate_", {"P57", "does maintenance"}},
	{"pg_clear_", {"P57", "does maintenance"}},
	{"binary_upgrade_", {"P57", "changes the catalogue"}},
	{"txid_", {"P58", "assigns a transaction id"}},
	{"pg_current_xact_id", {"P58", "assigns a transaction id"}},
	{"pg_export_snapshot", {"P58", "exports a snapshot"}},
};

const struct pg_refusal *pg_function_refusal(const char *name)
{
	static const struct pg_refusal unknown = {"P40", "is not on the list of reading functions"};

	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (!strncmp(name, refusals[i].prefix, strlen(refusals[i].prefix)))
			return &refusals[i].refusal;
	return &unknown;
}

bool pg_relation_secret(const char *schema, const char *name)
{
	/* pg_catalog's and extensions': password hashes, connection strings, others' statements. */
	static const char *const anywhere[] = {
		"pg_stat_statements",
		"pg_stat_statements_info",
		"pg_stat_monitor",
		"pg_buffercache",
	};
	static const char *const catalog[] = {
		"pg_authid",	    "pg_shadow",	 "pg_user_mapping",
		"pg_user_mappings", "pg_hba_file_rules", "pg_ident_file_mappings",
		"pg_file_settings", "pg_stat_activity",	 "pg_stat_wal_receiver",

		"pg_largeobject",   "pg_statistic",
	};

	for (size_t i = 0; i < ARRAY_LEN(anywhere); i++)
		if (!strcmp(name, anywhere[i]))
			return true;
	if (schema && !strcmp(schema, "information_schema"))
		return !strncmp(name, "user_mapping_options", 20) ||
		       !strncmp(name, "_pg_user_mappings", 17);
	if (schema && strcmp(schema, "pg_catalog") != 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(catalog); i++)
		if (!strcmp(name, catalog[i]))
			return true;
	return !schema &&
	       (!strcmp(name, "user_mapping_options") || !strcmp(name, "_pg_user_mappings"));
}
