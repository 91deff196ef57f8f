#!/bin/bash
# shellcheck disable=SC2086 # the lists are words, and are meant to be split
# SPDX-License-Identifier: Apache-2.0
# Print user/sql/pg_names_table.c: the functions and operators that the PostgreSQL classifier lets
# through. Usage: tools/gen-pg-names.sh CONNINFO >user/sql/pg_names_table.c, against an unchanged
# PostgreSQL 15. A name stays out when any of its overloads is unfit.
set -euo pipefail
conn=${1:?a connection string of a PostgreSQL 15 server}

# Volatile by declaration, reads in effect. Each was looked up in the manual.
reviewed="clock_timestamp current_query gen_random_uuid lo_get pg_collation_actual_version
pg_control_checkpoint pg_control_init pg_control_recovery pg_control_system pg_current_wal_flush_lsn
pg_current_wal_insert_lsn pg_current_wal_lsn pg_database_collation_actual_version pg_database_size
pg_get_wal_replay_pause_state pg_get_wal_resource_managers pg_indexes_size pg_is_in_recovery
pg_is_wal_replay_paused pg_jit_available pg_last_wal_receive_lsn pg_last_wal_replay_lsn
pg_last_xact_replay_timestamp pg_lock_status pg_partition_ancestors pg_partition_tree
pg_relation_size pg_sequence_last_value pg_stat_get_recovery_prefetch
pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls
pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans
pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched pg_stat_get_xact_tuples_hot_updated
pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_returned pg_stat_get_xact_tuples_updated
pg_stat_have_stats pg_table_size pg_tablespace_size pg_total_relation_size random timeofday"

# Not volatile, and still unfit: they run text or read relations by name (P56), assign a transaction
# id (P58), or show other sessions and upstream credentials (P69).
unfit="database_to_xml database_to_xml_and_xmlschema database_to_xmlschema schema_to_xml
schema_to_xml_and_xmlschema schema_to_xmlschema table_to_xml table_to_xml_and_xmlschema
table_to_xmlschema txid_current pg_current_xact_id pg_stat_get_activity pg_stat_get_backend_activity
pg_stat_get_wal_receiver pg_listening_channels
pg_event_trigger_ddl_commands pg_event_trigger_dropped_objects pg_event_trigger_table_rewrite_oid
pg_event_trigger_table_rewrite_reason"

# Plain functions to the grammar of 15, reading constructs of later servers (P66).
later="json_array json_arrayagg json_objectagg"

quoted() {
	printf "'%s'," "$@" | sed 's/,$//'
}

functions=$(psql -XAt -v ON_ERROR_STOP=1 "$conn" <<EOF
with f as (
	select proname, bool_and(
		prokind in ('f', 'a', 'w')
		and (provolatile <> 'v' or proname in ($(quoted $reviewed)))
		and not 'internal'::regtype = any (proargtypes)
		and not 'cstring'::regtype = any (proargtypes)
		and prorettype not in ('internal'::regtype, 'cstring'::regtype, 'trigger'::regtype,
			'event_trigger'::regtype, 'language_handler'::regtype,
			'index_am_handler'::regtype, 'table_am_handler'::regtype,
			'fdw_handler'::regtype, 'tsm_handler'::regtype)
		and proname not in ($(quoted $unfit))) as fit
	from pg_catalog.pg_proc where pronamespace = 'pg_catalog'::regnamespace group by proname)
select n from (select proname::text from f where fit union select unnest(array[$(quoted $later)])) x(n)
	order by n collate "C";
EOF
)
operators=$(psql -XAt -v ON_ERROR_STOP=1 "$conn" -c "select distinct oprname collate \"C\" from pg_catalog.pg_operator
	where oprnamespace = 'pg_catalog'::regnamespace union select unnest(array['<>', '!=']) order by 1")

table() {
	echo "const char *const $1[] = {"
	printf '%s\n' "$2" | sed 's/.*/	"&",/'
	echo "};"
	echo "const size_t n_$1 = ARRAY_LEN($1);"
}

{
	cat <<'EOF'
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Made by tools/gen-pg-names.sh from the catalogue of PostgreSQL 15: built-in functions that read
 * and run no text, and the built-in operators. Sorted by bytes.
 */
#include "sql/pg_names.h"

EOF
	table pg_function_names "$functions"
	echo
	table pg_operator_names "$operators"
} | clang-format --style=file --assume-filename=user/sql/pg_names_table.c
