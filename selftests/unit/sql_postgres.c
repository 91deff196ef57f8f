/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PostgreSQL classifier against its catalogue. Each test carries the name of a row; its refused
 * texts are the row's case and mutations of it, its allowed ones are what looks like it and reads.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sql/sql.h"

#define TEXTS 25

struct row {
	const char *name;
	const char *rules; /* any of these may speak for a refused text */
	const char *state; /* NULL: any */
	const char *denied[TEXTS];
	const char *allowed[TEXTS];
};

static struct sql_result classify(const char *text)
{
	struct sql_result r;

	memset(&r, 0xa5, sizeof(r));
	assert_int_equal(sql_classify(SQL_POSTGRES, text, strlen(text), &r), 0);
	assert_int_equal(sql_result_check(&r), 0);
	return r;
}

static void check_row(void **state)
{
	const struct row *row = *state;

	for (size_t i = 0; i < TEXTS && row->denied[i]; i++) {
		struct sql_result r = classify(row->denied[i]);

		if (r.verdict == SQL_ALLOW || !strstr(row->rules, r.rule) ||
		    (row->state && strcmp(row->state, r.sqlstate) != 0))
			fail_msg("%s: want %s %s, got verdict %d %s %s (%s)", row->denied[i],
				 row->rules, row->state ? row->state : "", r.verdict, r.rule,
				 r.sqlstate, r.reason);
		assert_true(r.reason[0]);
	}
	for (size_t i = 0; i < TEXTS && row->allowed[i]; i++) {
		struct sql_result r = classify(row->allowed[i]);

		if (r.verdict != SQL_ALLOW)
			fail_msg("%s: refused by %s: %s", row->allowed[i], r.rule, r.reason);
	}
}

static const struct row rows[] = {
	{"P16_sql_prepared_statements",
	 "P24 P25 P26 P28 P43",
	 NULL,
	 {"PREPARE x AS UPDATE t SET a = 1", "prepare/**/x as delete from t",
	  "PREPARE \"x\"(int) AS INSERT INTO t VALUES ($1)",
	  "PREPARE x AS WITH w AS (DELETE FROM t RETURNING *) SELECT * FROM w",
	  "PREPARE x AS SELECT 1 INTO t", "EXECUTE x(nextval('s'))", "CREATE TABLE t AS EXECUTE x",
	  "EXPLAIN EXECUTE x", "EXPLAIN ANALYZE EXECUTE x(1)"},
	 {"PREPARE x AS SELECT 1", "PREPARE x(int, text) AS SELECT $1, $2", "EXECUTE x",
	  "EXECUTE x(1, 'a')", "DEALLOCATE x", "DEALLOCATE ALL", "deallocate prepare x"}},
	{"P17_cursors",
	 "P17 P24 P25 P27 P43",
	 NULL,
	 {"DECLARE c CURSOR WITH HOLD FOR SELECT 1", "declare c cursor with/**/hold for select 1",
	  "DECLARE \"c\" SCROLL CURSOR WITH HOLD FOR SELECT 1",
	  "DECLARE c CURSOR FOR SELECT * FROM t FOR UPDATE",
	  "DECLARE c CURSOR FOR SELECT nextval('s')",
	  "DECLARE c CURSOR FOR WITH w AS (UPDATE t SET a=1 RETURNING *) SELECT * FROM w"},
	 {"DECLARE c CURSOR FOR SELECT * FROM t",
	  "DECLARE c NO SCROLL CURSOR WITHOUT HOLD FOR SELECT 1", "FETCH 100 FROM c",
	  "FETCH FORWARD ALL FROM \"c\"", "MOVE BACKWARD 3 IN c", "CLOSE c", "CLOSE ALL"}},
	{"P19_several_statements",
	 "P19 P64 P65",
	 NULL,
	 {"SELECT 1; SELECT 2", "SELECT 1;DROP TABLE t", "SELECT ';';SELECT 2",
	  "SELECT 1/*;*/;/**/SELECT 2", "SELECT $a$;$a$;COMMIT", "SELECT 1;--\nUPDATE t SET a=1",
	  "BEGIN;SELECT 1", "SELECT $a$ $$ $a$; DROP TABLE t",
	  "SELECT $$x$$; UPDATE t SET a=1 --$$", "SELECT 1 --\r;UPDATE t SET a=1",
	  "SELECT 'a\\'; DROP TABLE t; --'", "SELECT E'a\\\\'; DROP TABLE t --'"},
	 {"SELECT 1;", ";;SELECT 1;;", "SELECT ';'", "SELECT 1 -- ; SELECT 2", "SELECT $$;$$",
	  "SELECT 1 /* ; DROP TABLE t */", "SELECT E'\\';DROP TABLE t --'", "", ";", "-- nothing",
	  "/* /* ; */ */"}},
	{"P20_client_encoding",
	 "P20",
	 NULL,
	 {"SET client_encoding TO 'SJIS'", "SET client_encoding = sjis",
	  "set/**/CLIENT_ENCODING='GBK'", "SET NAMES 'BIG5'",
	  "SET LOCAL \"client_encoding\" TO GB18030",
	  "SELECT set_config('client_encoding', 'SJIS', false)",
	  "SELECT pg_catalog.\"set_config\"('Client_Encoding', 'UHC', true)",
	  "SET client_encoding TO 'UTF8', 'SJIS'", "SET client_encoding TO ''",
	  "COPY t TO STDOUT (ENCODING 'SJIS')"},
	 {"SET client_encoding TO 'UTF8'", "SET client_encoding = 'utf-8'", "SET NAMES 'UTF8'",
	  "SET client_encoding TO unicode", "SELECT set_config('client_encoding','utf8',false)",
	  "COPY t TO STDOUT (ENCODING 'UTF8')", "SHOW client_encoding", "RESET client_encoding"}},
	{"P22_standard_conforming_strings",
	 "P22",
	 NULL,
	 {"SET standard_conforming_strings TO off", "SET standard_conforming_strings = 'false'",
	  "SET LOCAL \"standard_conforming_strings\" TO 0",
	  "SELECT set_config('standard_conforming_strings','off',false)",
	  "select /**/ pg_catalog.set_config('STANDARD_conforming_strings', $$no$$, true)"},
	 {"SET standard_conforming_strings TO on", "SET standard_conforming_strings = 'true'",
	  "SHOW standard_conforming_strings"}},
	{"P23_lexical_settings",
	 "P23",
	 NULL,
	 {"SET backslash_quote TO on", "set/**/\"backslash_quote\" = 'on'",
	  "SET escape_string_warning TO off", "SET LOCAL transform_null_equals TO on",
	  "SET plpgsql.extra_errors TO 'all'", "RESET backslash_quote",
	  "SELECT set_config('backslash_quote','on',false)"},
	 {"SHOW backslash_quote", "SHOW ALL"}},
	{"P24_writes",
	 "P24",
	 "25006",
	 {"INSERT INTO t VALUES (1)", "UPDATE t SET a = 1", "DELETE FROM t", "TRUNCATE t",
	  "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
	  "update/**/only t set a = 1", "/* SELECT */ uPdAtE t SET a=1",
	  "-- SELECT 1\nDELETE FROM t", "\t\n\f INSERT INTO t SELECT 1", "CREATE TABLE t(a int)",
	  "create temp table t(a int)", "CREATE TABLE t AS SELECT 1", "DROP TABLE t",
	  "ALTER TABLE t ADD b int", "CREATE VIEW v AS SELECT 1",
	  "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM t; SELECT 1'",
	  "CREATE RULE r AS ON SELECT TO t DO INSTEAD NOTHING",
	  "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "DELETE/**/FROM\n\"t\""},
	 {"SELECT 'UPDATE t SET a = 1'", "SELECT \"update\" FROM \"delete\"", "SELECT 1 AS insert",
	  "SELECT t.update FROM t", "VALUES ('DROP TABLE t')", "TABLE t"}},
	{"P25_writing_cte",
	 "P25",
	 "25006",
	 {"WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
	  "with x as/**/(update t set a=1 returning *) table x",
	  "SELECT * FROM (WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x) y",
	  "SELECT (WITH x AS (DELETE FROM t RETURNING a) SELECT a FROM x)",
	  "WITH RECURSIVE a AS (WITH b AS (DELETE FROM t RETURNING *) SELECT * FROM b) SELECT * "
	  "FROM a",
	  "SELECT 1 UNION (WITH x AS (DELETE FROM t RETURNING 1) SELECT * FROM x)",
	  "WITH x AS MATERIALIZED (SELECT 1), y AS (UPDATE t SET a=1) SELECT 1",
	  "SELECT 1 WHERE EXISTS (WITH x AS (DELETE FROM t RETURNING 1) SELECT * FROM x)"},
	 {"WITH x AS (SELECT 1) SELECT * FROM x",
	  "WITH RECURSIVE x(n) AS (VALUES (1) UNION ALL SELECT n+1 FROM x WHERE n < 5) SELECT * "
	  "FROM x",
	  "WITH x AS NOT MATERIALIZED (TABLE t) SELECT * FROM x",
	  "WITH RECURSIVE x(a, b) AS (SELECT 1, 2 UNION ALL SELECT a, b FROM x) SEARCH DEPTH FIRST "
	  "BY a "
	  "SET o CYCLE a SET c USING p SELECT * FROM x"}},
	{"P26_select_into",
	 "P26",
	 "25006",
	 {"SELECT 1 INTO t", "SELECT * INTO TEMP t FROM u", "select a into/**/table t from u",
	  "SELECT 1 INTO t UNION SELECT 2", "(SELECT 1 INTO t)",
	  "WITH x AS (SELECT 1) SELECT * INTO t FROM x", "SELECT 1 INTO UNLOGGED \"t\"",
	  "SELECT * FROM (SELECT 1 INTO t) x"},
	 {"SELECT 1 AS into", "SELECT t.into FROM t", "SELECT \"into\" FROM t", "SELECT ' into t '",
	  "SELECT 1 /* INTO t */"}},
	{"P27_row_locks",
	 "P27",
	 "25006",
	 {"SELECT * FROM t FOR UPDATE", "SELECT * FROM t FOR NO KEY UPDATE",
	  "SELECT * FROM t FOR SHARE", "SELECT * FROM t FOR KEY SHARE",
	  "select * from t for/**/update nowait", "SELECT * FROM t FOR UPDATE OF t SKIP LOCKED",
	  "SELECT * FROM (SELECT * FROM t FOR SHARE) x", "(SELECT * FROM t FOR UPDATE) LIMIT 1",
	  "WITH x AS (SELECT * FROM t FOR UPDATE) SELECT * FROM x",
	  "SELECT (SELECT a FROM t LIMIT 1 FOR UPDATE)",
	  "SELECT * FROM t FOR SHARE FOR UPDATE OF t", "TABLE t FOR UPDATE"},
	 {"SELECT substring('abc' FROM 1 FOR 2)", "SELECT 'for update'",
	  "SELECT 1 AS \"for update\"", "SELECT * FROM t -- FOR UPDATE",
	  "SELECT * FROM t FOR READ ONLY"}},
	{"P28_explain_of_writes",
	 "P28",
	 NULL,
	 {"EXPLAIN ANALYZE UPDATE t SET a=1", "EXPLAIN (ANALYZE) DELETE FROM t",
	  "EXPLAIN INSERT INTO t VALUES (1)",
	  "explain/**/(analyze, costs off) create table u as select 1",
	  "EXPLAIN ANALYZE CREATE MATERIALIZED VIEW v AS SELECT 1", "EXPLAIN ANALYZE EXECUTE x",
	  "EXPLAIN DECLARE c CURSOR FOR SELECT 1", "EXPLAIN REFRESH MATERIALIZED VIEW v"},
	 {"EXPLAIN ANALYZE SELECT 1", "EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM t"}},
	{"P29_explain",
	 "P25 P26 P27 P29 P43",
	 NULL,
	 {"EXPLAIN SELECT nextval('s')",
	  "EXPLAIN WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
	  "EXPLAIN SELECT * FROM t FOR UPDATE", "EXPLAIN (FORMAT json) SELECT 1 INTO t",
	  "EXPLAIN (SERIALIZE) SELECT 1", "EXPLAIN (nonsense 'x') SELECT 1"},
	 {"EXPLAIN SELECT 1", "EXPLAIN VERBOSE TABLE t",
	  "EXPLAIN (FORMAT JSON, COSTS off) VALUES (1)",
	  "explain (verbose, settings, wal, timing off, summary) select 1"}},
	{"P30_copy_out",
	 "P24 P26 P27 P43 P69",
	 NULL,
	 {"COPY (SELECT nextval('s')) TO STDOUT", "COPY (UPDATE t SET a=1 RETURNING *) TO STDOUT",
	  "copy/**/(delete from t returning *) to stdout", "COPY (SELECT 1 INTO t) TO STDOUT",
	  "COPY (SELECT * FROM t FOR UPDATE) TO STDOUT", "COPY pg_authid TO STDOUT",
	  "COPY pg_subscription TO STDOUT",
	  "COPY pg_subscription (subname, subconninfo) TO STDOUT"},
	 {"COPY t TO STDOUT", "COPY t (a, b) TO stdout WITH (FORMAT csv, HEADER, DELIMITER ';')",
	  "COPY (SELECT * FROM t WHERE a < 5) TO STDOUT csv header",
	  "COPY \"orders\" TO stdout WITH DELIMITER AS '\t' NULL AS '\\N'",
	  "COPY (VALUES (1)) TO STDOUT BINARY"}},
	{"P31_copy_elsewhere",
	 "P31",
	 NULL,
	 {"COPY t FROM STDIN", "COPY t TO '/tmp/x'", "COPY t FROM '/etc/passwd'",
	  "COPY (SELECT 1) TO PROGRAM 'id'", "COPY t FROM PROGRAM 'id'", "copy/**/t to $$/tmp/x$$",
	  "COPY (SELECT 'STDOUT') TO E'/tmp/\\x61'", "COPY t (a) FROM STDIN WITH (FORMAT csv)",
	  "COPY t TO STDOUT (nonsense)"},
	 {"COPY t TO STDOUT", "COPY (SELECT 'TO PROGRAM') TO STDOUT"}},
	{"P32_read_write",
	 "P32",
	 "25006",
	 {"BEGIN READ WRITE", "START TRANSACTION READ WRITE", "SET TRANSACTION READ WRITE",
	  "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
	  "begin/**/isolation level serializable, read/**/write",
	  "SET default_transaction_read_only TO off", "SET default_transaction_read_only = 'f'",
	  "SET LOCAL transaction_read_only = 0", "SET \"transaction_read_only\" TO 'no'",
	  "RESET transaction_read_only", "SET LOCAL transaction_read_only TO DEFAULT",
	  "SELECT set_config('default_transaction_read_only','off',false)",
	  "SELECT pg_catalog.set_config('transaction_read_only', 'false', true)",
	  "BEGIN READ ONLY, READ WRITE"},
	 {"BEGIN READ ONLY", "SET TRANSACTION READ ONLY", "SET default_transaction_read_only TO on",
	  "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
	  "SET transaction_read_only = true", "SET default_transaction_read_only TO DEFAULT"}},
	{"P33_transactions",
	 "P19 P32 P65",
	 NULL,
	 {"COMMIT; UPDATE t SET a=1", "BEGIN; COMMIT", "START TRANSACTION READ WRITE",
	  "BEGIN ISOLATION LEVEL nonsense"},
	 {"BEGIN", "START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY DEFERRABLE",
	  "COMMIT", "END", "COMMIT AND CHAIN", "ROLLBACK", "ABORT", "ROLLBACK AND NO CHAIN",
	  "SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "ROLLBACK TO SAVEPOINT \"a b\"",
	  "/* x */ commit -- y", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"}},
	{"P34_two_phase",
	 "P34",
	 "25006",
	 {"PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'",
	  "prepare/**/transaction $$x$$", "commit /**/ prepared E'\\x61'"},
	 {"PREPARE transaction1 AS SELECT 1", "COMMIT"}},
	{"P35_settings",
	 "P35 P42",
	 "42501",
	 {"SET work_mem = '64GB'",
	  "SET/**/\"work_mem\" TO 1",
	  "SET LOCAL temp_buffers = 100",
	  "SET session_replication_role = replica",
	  "RESET work_mem",
	  "SET my.setting = 1",
	  "SELECT set_config('work_mem','64GB',false)",
	  "SET TIME ZONE INTERVAL '1' HOUR",
	  "SET timezone TO '../../etc/passwd'",
	  "SET application_name TO E'a\\nb'",
	  "SET search_path TO public, pg_catalog",
	  "SET search_path TO pg_temp, public",
	  "SELECT set_config('search_path', 'public,\"pg_catalog\"', false)",
	  "SELECT set_config('search_path', E'public,\\x0bpg_catalog', false)",
	  "SELECT set_config('search_path', E'public,pg_catalog\\x0b', false)",
	  "SET extra_float_digits TO 'x'",
	  "SET client_min_messages TO panic",
	  "SET default_tablespace TO ''",
	  "SET synchronous_commit TO off",
	  "SET search_path TO ' ', \"pg_temp_3\""},
	 {"SET extra_float_digits = 3", "SET application_name = 'PostgreSQL JDBC Driver'",
	  "SET statement_timeout = 0", "SET SESSION search_path TO 'app'",
	  "SET search_path = \"$user\", public", "SET DATESTYLE = ISO, DMY",
	  "SET TIME ZONE 'Europe/Berlin'", "SET TIME ZONE -7", "SET LOCAL statement_timeout = '5s'",
	  "RESET search_path", "SET search_path TO pg_catalog, public", "SET row_security = off",
	  "SET client_min_messages = warning", "SET INTERVALSTYLE = POSTGRES",
	  "SET bytea_output TO hex", "SELECT set_config('TimeZone', 'UTC', false)",
	  "SET TIME ZONE LOCAL", "SET search_path TO ''"}},
	{"P36_discard",
	 "P36",
	 NULL,
	 {"DISCARD TEMP", "DISCARD PLANS", "DISCARD/**/SEQUENCES", "discard temporary"},
	 {"DISCARD ALL", "RESET ALL", "/**/ discard /**/ all"}},
	{"P37_roles",
	 "P37",
	 "42501",
	 {"SET ROLE postgres", "SET SESSION AUTHORIZATION postgres", "set/**/role none",
	  "SET LOCAL ROLE \"postgres\"", "SET SESSION AUTHORIZATION DEFAULT", "RESET ROLE",
	  "SELECT set_config('role','postgres',false)",
	  "SELECT set_config('session_authorization','x',true)", "SET role TO 'x'",
	  "RESET SESSION AUTHORIZATION"},
	 {"SHOW role", "SELECT current_user, session_user, current_role"}},
	{"P38_set_config",
	 "P32 P38",
	 NULL,
	 {"SELECT set_config('transaction_read_only','off',false)",
	  "SELECT set_config('a.b', 'x', false), 1",
	  "SELECT 1 WHERE set_config('a.b','x',false) = 'x'",
	  "SELECT \"set_config\"('search_path' || '', '', false)",
	  "SELECT U&\"\\0073et_config\"('search_path', lower(''), false)",
	  "SELECT pg_catalog/**/./**/set_config(name, '', false) FROM pg_settings",
	  "SELECT set_config('search_path', '', false) FROM t",
	  "SELECT set_config(name, 'off', false) FROM t WHERE name = 'search_path'",
	  "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name <> 'search_path'",
	  "VALUES (set_config('search_path','',false))",
	  "SELECT (SELECT set_config('search_path','',false))",
	  "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = "
	  "'transaction_read_only'",
	  "SELECT SET_CONFIG('search_path', '', 1 = 1)",
	  "SELECT set_config('search_path', NULL, false)",
	  "SELECT set_config('search_path', '', false) UNION SELECT 'x'",
	  "EXPLAIN SELECT set_config('search_path', '', false)", "SELECT set_config($1, $2, $3)",
	  "SELECT set_config('search_path', '', false) OVER ()",
	  "WITH x AS (SELECT 1) SELECT set_config('search_path', '', false)"},
	 {"SELECT pg_catalog.set_config('search_path', '', false);",
	  "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = "
	  "'restrict_nonsystem_relation_kind'",
	  "SELECT 'set_config'", "SELECT current_setting('search_path')",
	  "SELECT SET_CONFIG('search_path', 'public', true) AS x"}},
	{"P39_code",
	 "P39",
	 "25006",
	 {"DO $$BEGIN COMMIT; END$$", "DO LANGUAGE plpgsql 'BEGIN NULL; END'", "CALL p()",
	  "do/**/$x$ begin end $x$", "call \"p\"(1, 2)", "CALL s.p(VARIADIC ARRAY[1])"},
	 {"SELECT 'DO'", "SELECT 1 AS call"}},
	{"P40_user_functions",
	 "P40",
	 "42501",
	 {"SELECT f()", "SELECT public.lower('x')", "SELECT \"F\"(1)", "SELECT app . f /**/ (1)",
	  "SELECT * FROM t WHERE f(a)", "SELECT a.b.c.d()", "SELECT pg_catalog.no_such_function()",
	  "SELECT \"LOWER\"('x')", "SELECT pg_temp.lower('x')"},
	 {"SELECT lower('X')", "SELECT pg_catalog.lower('X')", "SELECT \"lower\"('X'), LOWER('X')",
	  "SELECT count(*), sum(a) FILTER (WHERE a > 1), row_number() OVER (ORDER BY a) FROM t "
	  "GROUP BY b"}},
	{"P40_attribute_notation",
	 "P40 P43 P44 P46 P52 P53 P54 P55 P56",
	 "42501",
	 {"SELECT (1::bigint).pg_advisory_lock", "SELECT (7).pg_terminate_backend",
	  "SELECT a.pg_cancel_backend FROM unnest(ARRAY[7]) a",
	  "SELECT a.\"pg_sleep\" FROM generate_series(1, 2) a",
	  "SELECT public.t.pg_read_file FROM t", "SELECT ('x'::text).pg_new_in_later_servers",
	  "SELECT ((ARRAY[5::bigint])[1]).pg_try_advisory_lock",
	  "SELECT 1 FROM t WHERE ('s'::regclass).nextval > 0",
	  "SELECT 1 FROM t ORDER BY ('s'::regclass)/**/./**/U&\"n\\0065xtval\"",
	  "SELECT ('SELECT 1'::text).ts_stat", "SELECT (1::oid).lo_unlink",
	  "SELECT ('DELETE FROM t'::text).dblink_exec", "SELECT (t.a).pg_ls_dir FROM t"},
	 {"SELECT t.a, (t).a, public.t.b FROM t", "SELECT (t).row_to_json FROM t",
	  "SELECT x.lo_freq, x.http_status, x.lower, (x.c).name FROM x",
	  "SELECT nextval, pg_note FROM t", "SELECT pg_class.relname FROM pg_class",
	  "SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class",
	  "SELECT c.pg_relation_size FROM pg_class c"}},
	{"P41_operators",
	 "P41",
	 "42501",
	 {"SELECT !!! 1", "SELECT 1 OPERATOR(public.+) 2", "SELECT 1 === 2",
	  "SELECT * FROM t ORDER BY a USING <<<", "SELECT 1 === ANY (ARRAY[1])",
	  "SELECT 1 === ALL (SELECT 1)", "SELECT (1, 2) === (3, 4)",
	  "SELECT 1 OPERATOR(\"app\" . +) 2"},
	 {"SELECT 1 + 2 * -3 % 4", "SELECT 1 OPERATOR(pg_catalog.+) 2",
	  "SELECT 'a' ~* 'b', a->>'x' FROM t", "SELECT * FROM t ORDER BY a USING <",
	  "SELECT a BETWEEN 1 AND 2, b NOT BETWEEN SYMMETRIC 3 AND 1, "
	  "c LIKE 'x' ESCAPE 'y', d SIMILAR TO 'z', e IS DISTINCT FROM f, nullif(a, b), a NOT IN "
	  "(1, 2) FROM t"}},
	{"P43_sequences",
	 "P43",
	 "42501",
	 {"SELECT nextval('s')", "VALUES (nextval('s'))", "SELECT setval('s', 1)",
	  "select/**/\"nextval\"('s')", "SELECT pg_catalog.nextval('s'::regclass)",
	  "SELECT U&\"n\\0065xtval\"('s')", "SELECT * FROM t WHERE a = nextval('s')",
	  "SELECT lastval()", "SELECT 1 LIMIT nextval('s')",
	  "SELECT CASE WHEN true THEN nextval('s') END"},
	 {"SELECT last_value, is_called FROM s", "SELECT 'nextval(''s'')'",
	  "SELECT nextval FROM t"}},
	{"P44_large_objects",
	 "P44",
	 "42501",
	 {"SELECT lo_create(1)", "SELECT lo_creat(1)", "SELECT lo_from_bytea(0, 'x')",
	  "SELECT lo_put(1, 0, 'x')", "SELECT lo_unlink(1)", "SELECT lo_truncate(1, 0)",
	  "SELECT lo_import('/etc/passwd')", "SELECT lo_export(1, '/tmp/x')",
	  "SELECT lowrite(1, 'x')", "select pg_catalog.\"lo_unlink\"(oid) from t",
	  "SELECT LO_OPEN(1, 131072)"},
	 {"SELECT lo_get(1)", "SELECT 'lo_unlink'"}},
	{"P45_notifications",
	 "P45",
	 NULL,
	 {"NOTIFY x", "NOTIFY x, 'payload'", "LISTEN x", "UNLISTEN *", "SELECT pg_notify('x', 'y')",
	  "notify/**/\"x\"", "SELECT pg_catalog./**/pg_notify('x', 'y') FROM t"},
	 {"SELECT 'NOTIFY x'", "SELECT pg_notification_queue_usage FROM t"}},
	{"P46_advisory_locks",
	 "P46",
	 "42501",
	 {"SELECT pg_advisory_lock(1)", "SELECT pg_advisory_lock(1, 2)",
	  "SELECT pg_advisory_xact_lock_shared(1)", "SELECT pg_try_advisory_lock(1)",
	  "SELECT pg_try_advisory_xact_lock(1)", "SELECT pg_advisory_unlock_all()",
	  "SELECT \"pg_advisory_unlock\"(1)", "SELECT * FROM pg_catalog . pg_advisory_lock ( 1 )"},
	 {"SELECT * FROM pg_locks", "SELECT 'pg_advisory_lock(1)'"}},
	{"P47_lock_table",
	 "P47",
	 "25006",
	 {"LOCK TABLE t", "LOCK t IN ROW SHARE MODE",
	  "LOCK TABLE t IN ACCESS EXCLUSIVE MODE NOWAIT",
	  "lock/**/table only \"t\" in exclusive mode", "LOCK t IN SHARE UPDATE EXCLUSIVE MODE"},
	 {"LOCK TABLE public.orders IN ACCESS SHARE MODE", "lock t, u in access share mode"}},
	{"P48_maintenance",
	 "P48",
	 NULL,
	 {"VACUUM", "VACUUM FULL t", "ANALYZE t", "CLUSTER t USING i", "REINDEX TABLE t",
	  "CHECKPOINT", "LOAD 'x'", "vacuum/**/(analyze) t", "reindex /**/ schema public"},
	 {"SELECT 'VACUUM'", "SELECT 1 AS analyze", "EXPLAIN ANALYZE SELECT 1"}},
	{"P49_catalogue_writes",
	 "P49",
	 "25006",
	 {"REFRESH MATERIALIZED VIEW v", "COMMENT ON TABLE t IS 'x'",
	  "SECURITY LABEL ON TABLE t IS 'x'", "GRANT SELECT ON t TO u", "REVOKE ALL ON t FROM u",
	  "GRANT a TO b", "IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c", "CREATE EXTENSION x",
	  "CREATE DATABASE x", "comment/**/on column t.a is null"},
	 {"SELECT obj_description('t'::regclass)", "SELECT has_table_privilege('t', 'select')"}},
	{"P50_administration",
	 "P50",
	 NULL,
	 {"ALTER SYSTEM SET archive_command = 'id'", "ALTER SYSTEM RESET ALL",
	  "SELECT pg_reload_conf()", "SELECT pg_rotate_logfile()", "SELECT pg_switch_wal()",
	  "SELECT pg_create_restore_point('x')", "SELECT pg_backup_start('x')",
	  "SELECT pg_backup_stop()", "SELECT pg_promote()", "SELECT pg_wal_replay_pause()",
	  "select \"pg_reload_conf\"()", "SELECT pg_catalog.pg_promote(true, 1)"},
	 {"SELECT pg_is_in_recovery()", "SELECT pg_conf_load_time()"}},
	{"P51_replication",
	 "P51",
	 "42501",
	 {"SELECT pg_create_logical_replication_slot('a', 'b')",
	  "SELECT pg_drop_replication_slot('a')", "SELECT pg_replication_slot_advance('a', '0/0')",
	  "SELECT * FROM pg_logical_slot_get_changes('a', NULL, NULL)",
	  "SELECT pg_replication_origin_create('a')",
	  "SELECT pg_logical_emit_message(true, 'a', 'b')",
	  "SELECT \"pg_create_physical_replication_slot\"('a')",
	  "SELECT pg_copy_logical_replication_slot('a','b')"},
	 {"SELECT * FROM pg_replication_slots", "SELECT * FROM pg_publication_tables"}},
	{"P52_other_sessions",
	 "P52",
	 "42501",
	 {"SELECT pg_terminate_backend(1)", "SELECT pg_cancel_backend(1)",
	  "SELECT pg_catalog.\"pg_terminate_backend\"(1)",
	  "SELECT count(*) FROM t WHERE pg_terminate_backend(pid)",
	  "SELECT PG_CANCEL_BACKEND /**/ (1)"},
	 {"SELECT pg_backend_pid()"}},
	{"P53_sleep",
	 "P53",
	 "42501",
	 {"SELECT pg_sleep(1)", "SELECT pg_sleep_for('1 day')", "SELECT pg_sleep_until('tomorrow')",
	  "SELECT 1 WHERE (SELECT true FROM pg_sleep(5))", "SELECT pg_catalog.\"pg_sleep\"(1)",
	  "SELECT CASE WHEN 1=1 THEN pg_sleep(5) END",
	  "SELECT 1 ORDER BY (SELECT 1 FROM pg_sleep(1))"},
	 {"SELECT now()", "SELECT generate_series(1, 10)", "SELECT 'pg_sleep'"}},
	{"P54_server_files",
	 "P54",
	 "42501",
	 {"SELECT pg_read_file('/etc/passwd')", "SELECT pg_read_binary_file('x')",
	  "SELECT pg_ls_dir('/')", "SELECT * FROM pg_ls_waldir()", "SELECT pg_stat_file('x')",
	  "SELECT pg_file_write('a', 'b', true)", "SELECT pg_current_logfile()",
	  "SELECT pg_catalog . \"pg_read_file\" ('x')", "SELECT * FROM pg_ls_logdir() x"},
	 {"SELECT pg_relation_filepath('t')", "SELECT pg_size_pretty(pg_relation_size('t'))"}},
	{"P55_other_servers",
	 "P40 P55",
	 "42501",
	 {"SELECT * FROM dblink('x', 'UPDATE t SET a=1') AS t(a int)",
	  "SELECT dblink_exec('x', 'y')", "SELECT public.dblink_connect('x')",
	  "SELECT * FROM http_get('x')", "SELECT aws_s3.query_export_to_s3('x')",
	  "SELECT net.http_post('x')", "SELECT \"dblink\"('x')",
	  "SELECT postgres_fdw_disconnect_all()"},
	 {"SELECT * FROM pg_foreign_table", "SELECT 'dblink'"}},
	{"P56_text_as_sql",
	 "P40 P56",
	 "42501",
	 {"SELECT query_to_xml('SELECT f()', true, true, '')",
	  "SELECT cursor_to_xml('c', 1, true, true, '')", "SELECT * FROM ts_stat('SELECT f()')",
	  "SELECT ts_rewrite('a'::tsquery, 'SELECT f()')",
	  "SELECT table_to_xml('pg_authid', true, true, '')",
	  "SELECT database_to_xml(true, true, '')", "SELECT * FROM crosstab('x') AS t(a int)",
	  "SELECT * FROM connectby('a')", "SELECT xpath_table('a')",
	  "SELECT pg_catalog./**/\"query_to_xml\"('x', true, true, '')",
	  "SELECT query_to_xml_and_xmlschema('x',true,true,'')"},
	 {"SELECT xpath('/a', '<a/>'::xml)", "SELECT to_tsvector('a') @@ to_tsquery('b')",
	  "SELECT xmlelement(name a, xmlattributes(1 AS b), xmlforest(2 AS c))"}},
	{"P57_maintenance_functions",
	 "P40 P57",
	 "42501",
	 {"SELECT pg_stat_reset()", "SELECT pg_stat_statements_reset()",
	  "SELECT gin_clean_pending_list('i')", "SELECT brin_summarize_new_values('i')",
	  "SELECT pg_import_system_collations('x')", "SELECT pg_nextoid('a', 'b', 'c')",
	  "SELECT pg_prewarm('t')", "SELECT pg_truncate_visibility_map('t')",
	  "SELECT \"pg_stat_reset_shared\"('x')", "SELECT pg_catalog.pg_stat_clear_snapshot()",
	  "SELECT binary_upgrade_set_next_pg_type_oid(1)"},
	 {"SELECT pg_stat_get_numscans('t'::regclass)", "SELECT * FROM pg_stat_user_tables"}},
	{"P58_snapshots",
	 "P58",
	 NULL,
	 {"SELECT txid_current()", "SELECT pg_current_xact_id()", "SELECT pg_export_snapshot()",
	  "SET TRANSACTION SNAPSHOT '1'", "SELECT \"txid_current\"()",
	  "SELECT pg_catalog . txid_current ( )", "set/**/transaction snapshot E'\\x31'"},
	 {"SELECT txid_current_if_assigned()", "SELECT pg_current_snapshot()"}},
	{"P59_temporary_objects",
	 "P24 P26 P43",
	 NULL,
	 {"CREATE TEMP TABLE t(a int)", "INSERT INTO pg_temp.t VALUES (1)",
	  "SELECT 1 INTO TEMPORARY t", "SELECT nextval('pg_temp.s')",
	  "create local temporary table t as select 1"},
	 {"SELECT pg_my_temp_schema()"}},
	{"P60_own_role",
	 "P60",
	 "25006",
	 {"ALTER ROLE me PASSWORD 'x'", "ALTER USER me SET search_path = a",
	  "alter/**/role current_user password null", "ALTER ROLE ALL RESET ALL",
	  "ALTER USER \"me\" WITH ENCRYPTED PASSWORD 'x'"},
	 {"SELECT rolname FROM pg_roles"}},
	{"P61_plain_reads",
	 "P43 P40",
	 NULL,
	 {"VALUES (1), (nextval('s'))", "SELECT f()", "SELECT 1 WHERE f()",
	  "VALUES (1) ORDER BY nextval('s')", "SELECT 1 OFFSET nextval('s')"},
	 {"SHOW search_path",
	  "SHOW ALL",
	  "SHOW TIME ZONE",
	  "SHOW TRANSACTION ISOLATION LEVEL",
	  "VALUES (1), (2)",
	  "TABLE t",
	  "SELECT",
	  "SELECT 1",
	  "SELECT $1::int",
	  "((SELECT 1))",
	  "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a FETCH FIRST 3 ROWS WITH TIES",
	  "SELECT GROUPING(a) FROM t GROUP BY GROUPING SETS ((a), ROLLUP (b), CUBE (c), ())",
	  "SELECT a[1:2], (r).f, ARRAY[[1], [2]], ROW(1, 2), t.* FROM t AS r(a)",
	  "SELECT greatest(1, 2), coalesce(NULL, 1), CASE a WHEN 1 THEN 2 ELSE 3 END FROM t",
	  "SELECT extract(year FROM d), d AT TIME ZONE 'UTC', overlay('a' PLACING 'b' FROM 1), "
	  "trim(both 'x' from y) "
	  "FROM t",
	  "SELECT a COLLATE \"C\", b::numeric(10, 2), CAST(c AS int[]), interval '1' day, X'ff', "
	  "B'1' FROM t",
	  "SELECT sum(a) OVER w FROM t WINDOW w AS (PARTITION BY b ORDER BY c ROWS BETWEEN 1 "
	  "PRECEDING AND CURRENT ROW)",
	  "SELECT a IS TRUE, b IS NOT NULL, c IS DOCUMENT, (a, b) = (1, 2), a = ANY ($1), NOT b "
	  "FROM t",
	  "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t",
	  "SELECT make_interval(days => 3)",
	  "SELECT current_date, localtimestamp(3), user, current_catalog",
	  "SELECT 'a' IS NFC NORMALIZED"}},
	{"P62_comments",
	 "P19 P24 P64 P65",
	 NULL,
	 {"-- x\rDROP TABLE x", "/* /* */ */ DROP TABLE x", "/* /* */ SELECT 1 */ DELETE FROM x",
	  "--\n--\rUPDATE t SET a=1", "SELECT 1 /* /* */; DROP TABLE t",
	  "SELECT 1 -- x\r; DROP TABLE t", "/**/-- */\nDELETE FROM t",
	  "SELECT 1 /*--*/; DROP TABLE t", "SELECT 1 -- /*\n; DROP TABLE t --*/"},
	 {"-- x\rSELECT 1", "/* /* */ DROP TABLE t */ SELECT 1", "SELECT/**/1--", "SELECT 1 -- \n",
	  "SELECT 4 */**/ 2", "SELECT 1 - -- x\n -2"}},
	{"P63_decoded_names",
	 "P40 P43 P69 P38",
	 "42501",
	 {"SELECT U&\"n\\0065xtval\"('s')", "SELECT U&\"\\0064rop\"()",
	  "SELECT U&\"n!0065xtval\" UESCAPE '!' ('s')", "SELECT NextVal('s')",
	  "SELECT u&\"\\+00006eextval\"('s')", "SELECT * FROM U&\"pg_\\0061uthid\"",
	  "SELECT * FROM PG_AUTHID", "TABLE \"pg_catalog\".\"pg_shadow\"",
	  "SELECT U&\"set\\005fconfig\"('a','b','c')"},
	 {"SELECT U&\"l\\006fwer\"('X')", "SELECT LoWeR('X')",
	  "SELECT U&'\\0027;DROP TABLE users --'", "SELECT U&'d!0061ta' UESCAPE '!'",
	  "SELECT 1 AS \"Nextval\""}},
	{"P64_strings",
	 "P19 P24 P43 P64 P65",
	 NULL,
	 {/* PostgreSQL takes this one, libpg_query's lexer does not: a refusal is the safe side. */
	  "SELECT 'a' -- x\n  'b'", "SELECT 'a", "SELECT \"a", "SELECT $x$a",
	  "SELECT 'a'\n'b'; DELETE FROM t", "SELECT 'a'\n'b\\'; DELETE FROM t --'",
	  "SELECT E'a\\'b'; DROP TABLE t --'", "SELECT $a$ $b$ $a$; DROP TABLE t -- $b$",
	  "SELECT /* x", "SELECT 'a' 'b'", "SELECT 123abc", "SELECT $1a",
	  "SELECT 'a' /* x */ \n 'b'", "SELECT nextval('a'\n'b')", "SELECT \"\""},
	 {"SELECT 'a'\n'b'", "SELECT E'a'\n'b\\'; DELETE FROM t --'", "SELECT N'a', B'01', X'fF'",
	  "SELECT $a$ $b$ ; $a$", "SELECT 'it''s', E'it\\'s'", "SELECT a$b, $1 FROM t",
	  "SELECT 'a\\'", "SELECT 1.5e-3, .5, 1."}},
	{"P65_newer_grammar",
	 "P64 P65",
	 "42601",
	 {"SELECT 1_000", "SELECT 0x1F",
	  "SELECT * FROM JSON_TABLE('{}', '$' COLUMNS (a int PATH '$.a'))", "SELEC 1",
	  "SELECT 1 FROM", "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE RETURNING *",
	  "SELECT 0b11", "TABLE"},
	 {"SELECT 1000"}},
	{"P66_keyword_drift",
	 "P40",
	 "42501",
	 {"SELECT public.json_array(1)", "SELECT any_value(a) FROM t", "SELECT \"JSON_ARRAY\"(1)",
	  "SELECT app.json_arrayagg(a) FROM t"},
	 {"SELECT JSON_ARRAY(1, 2)", "SELECT json_arrayagg(a) FROM t", "SELECT json_object('{}')"}},
	{"P68_functions_in_from",
	 "P40 P43 P53 P68",
	 "42501",
	 {"SELECT * FROM f()",
	  "SELECT * FROM ROWS FROM (generate_series(1, 2), f())",
	  "SELECT * FROM t, LATERAL f(t.a)",
	  "SELECT * FROM t TABLESAMPLE f(1)",
	  "SELECT * FROM t TABLESAMPLE system(nextval('s'))",
	  "SELECT * FROM t TABLESAMPLE app.system(1)",
	  "SELECT * FROM t TABLESAMPLE bernoulli(1) REPEATABLE (nextval('s'))",
	  "SELECT * FROM XMLTABLE('/a' PASSING f() COLUMNS b int)",
	  "SELECT * FROM XMLTABLE('/a' PASSING x COLUMNS b int DEFAULT nextval('s'))",
	  "SELECT sum(a) FILTER (WHERE pg_sleep(1) IS NULL) FROM t",
	  "SELECT sum(a) OVER (ORDER BY nextval('s')) FROM t",
	  "SELECT array_agg(a ORDER BY nextval('s')) FROM t",
	  "SELECT sum(a) OVER w FROM t WINDOW w AS (PARTITION BY f())",
	  "SELECT * FROM t JOIN u ON f()",
	  "SELECT * FROM t GROUP BY ROLLUP (nextval('s'))",
	  "SELECT a[nextval('s')] FROM t",
	  "SELECT 1 FROM t HAVING nextval('s') > 1",
	  "SELECT ARRAY(SELECT nextval('s'))",
	  "SELECT lower(VARIADIC ARRAY[f()])",
	  "SELECT x.a FROM (VALUES (1, f())) x(a)",
	  "SELECT xmlelement(name a, f())",
	  "SELECT make_interval(days => nextval('s')::int)"},
	 {"SELECT * FROM generate_series(1, 3) WITH ORDINALITY AS g(a, b)",
	  "SELECT * FROM t TABLESAMPLE SYSTEM (1) REPEATABLE (2)",
	  "SELECT * FROM json_to_recordset('[]') AS x(a int, b text COLLATE \"C\")",
	  "SELECT * FROM XMLTABLE(XMLNAMESPACES('u' AS p), '/a' PASSING '<a/>' COLUMNS b int PATH "
	  "'b' DEFAULT 1, c FOR ORDINALITY)",
	  "SELECT * FROM t CROSS JOIN LATERAL unnest(t.a) AS u(x) LEFT JOIN v USING (y) AS k",
	  "SELECT * FROM ROWS FROM (unnest(ARRAY[1]), generate_series(1, 2)) AS z(a, b)"}},
	{"P68_every_place_of_an_expression",
	 "P24 P43 P69",
	 NULL,
	 {"SELECT DISTINCT ON (nextval('s')) 1",
	  "SELECT * FROM XMLTABLE((nextval('s')::text) PASSING x COLUMNS b int)",
	  "SELECT * FROM XMLTABLE(XMLNAMESPACES((nextval('s')::text) AS p), '/a' PASSING x COLUMNS "
	  "b int)",
	  "SELECT * FROM XMLTABLE('/a' PASSING x COLUMNS b int PATH (nextval('s')::text))",
	  "SELECT * FROM XMLTABLE('/a' PASSING x COLUMNS b app.t(nextval('s')))",
	  "SELECT a[nextval('s'):2] FROM t",
	  "SELECT (nextval('s')).x",
	  "SELECT true AND nextval('s') > 1",
	  "SELECT (nextval('s') > 1) IS TRUE",
	  "SELECT nextval('s') IN (SELECT 1)",
	  "SELECT CASE nextval('s') WHEN 1 THEN 2 END",
	  "SELECT CASE WHEN nextval('s') > 1 THEN 2 END",
	  "SELECT CASE WHEN true THEN 2 ELSE nextval('s') END",
	  "SELECT coalesce(nextval('s'), 1)",
	  "SELECT greatest(nextval('s'), 1)",
	  "SELECT ROW(nextval('s'))",
	  "SELECT GROUPING(nextval('s'))",
	  "SELECT xmlforest(nextval('s') AS a)",
	  "SELECT xmlserialize(content nextval('s') AS text)",
	  "SELECT xmlserialize(content a AS app.t(nextval('s')))",
	  "SELECT nextval('s')::text COLLATE \"C\"",
	  "SELECT 1::app.t(nextval('s'))",
	  "SELECT 1::setof int",
	  "SELECT nextval('s') IS NULL"},
	 {"SELECT a[1:2], (r).x, true AND a > 1, (a > 1) IS TRUE, a IN (SELECT 1), coalesce(a, 1) "
	  "FROM t"}},
	{"P68_every_place_of_a_relation",
	 "P43 P69",
	 "42501",
	 {"SELECT sum(a) OVER (ROWS BETWEEN nextval('s') PRECEDING AND CURRENT ROW) FROM t",
	  "SELECT sum(a) OVER (ROWS BETWEEN CURRENT ROW AND nextval('s') FOLLOWING) FROM t",
	  "SELECT * FROM json_to_recordset('[]') AS x(a app.t(nextval('s')))",
	  "SELECT * FROM pg_authid TABLESAMPLE system (1)",
	  "SELECT * FROM t JOIN pg_authid ON true", "SELECT * FROM t, LATERAL (TABLE pg_authid) x",
	  "SELECT * FROM pg_authid JOIN t ON true",
	  "SELECT subname FROM pg_subscription JOIN t USING (subconninfo)",
	  "SELECT subname FROM pg_subscription JOIN t USING (oid) AS j",
	  "SELECT 1 UNION ALL TABLE pg_authid", "(TABLE pg_authid) EXCEPT SELECT 1",
	  "SELECT ARRAY(TABLE pg_authid)", "VALUES ((TABLE pg_authid))"},
	 {"SELECT * FROM t TABLESAMPLE system (1)", "SELECT * FROM t JOIN u USING (oid) AS j"}},
	{"P69_secrets",
	 "P69",
	 NULL,
	 {"SELECT * FROM pg_authid",
	  "TABLE pg_shadow",
	  "SELECT * FROM pg_catalog . \"pg_user_mapping\"",
	  "SELECT usename FROM pg_user_mappings",
	  "SELECT * FROM pg_hba_file_rules",
	  "SELECT query FROM pg_stat_activity",
	  "SELECT * FROM pg_stat_get_activity(NULL)",
	  "SELECT * FROM pg_hba_file_rules()",
	  "SELECT * FROM public.pg_stat_statements",
	  "SELECT * FROM pg_subscription",
	  "SELECT s FROM pg_subscription s",
	  "SELECT pg_subscription FROM pg_subscription",
	  "SELECT (x.p).subconninfo FROM (SELECT pg_subscription p FROM pg_subscription) x",
	  "SELECT c FROM pg_subscription s(a, b, c, d, e, f)",
	  "SELECT subname FROM pg_subscription NATURAL JOIN (SELECT 'x' AS subconninfo) y",
	  "SELECT 1 FROM pg_subscription JOIN (VALUES ('x')) v(subconninfo) USING (subconninfo)",
	  "SELECT U&\"subconn\\0069nfo\" FROM pg_subscription",
	  "SELECT j FROM (pg_subscription JOIN pg_class ON true) AS j",
	  "SELECT * FROM other.pg_catalog.pg_class",
	  "SELECT * FROM information_schema.user_mapping_options",
	  "WITH x AS (TABLE pg_authid) SELECT 1",
	  "LOCK TABLE pg_authid IN ACCESS SHARE MODE"},
	 {"SELECT * FROM pg_roles", "SELECT * FROM pg_user", "SELECT subname FROM pg_subscription",
	  "SELECT count(*) FROM pg_subscription WHERE subdbid = 1", "SELECT * FROM app.pg_authid",
	  "SELECT 'pg_authid'", "SELECT * FROM information_schema.tables",
	  "SELECT srvname FROM pg_foreign_server"}},
};

/* Text built where it is used: too long for a table. Freed by the caller. */
static char *repeat(const char *head, const char *unit, size_t n, const char *tail)
{
	size_t h = strlen(head), u = strlen(unit), t = strlen(tail);
	char *s = malloc(h + n * u + t + 1);

	assert_non_null(s);
	memcpy(s, head, h);
	for (size_t i = 0; i < n; i++)
		memcpy(s + h + i * u, unit, u);
	memcpy(s + h + n * u, tail, t + 1);
	return s;
}

static void check_built(const char *head, const char *unit, size_t n, const char *tail,
			const char *rules)
{
	__cleanup_free char *s = repeat(head, unit, n, tail);
	clock_t start = clock();
	struct sql_result r = classify(s);

	/* Milliseconds at the most; a second of processor time means that something is quadratic.
	 */
	assert_true(clock() - start < CLOCKS_PER_SEC);
	if (!rules)
		assert_int_equal(r.verdict, SQL_ALLOW);
	else if (r.verdict == SQL_ALLOW || !strstr(rules, r.rule))
		fail_msg("%s%s... x %zu: verdict %d %s %s", head, unit, n, r.verdict, r.rule,
			 r.reason);
}

/* P67: whatever is long or deep ends in a refusal, in this process and on this stack. */
static void test_P67_caps(void **state)
{
	(void)state;
	check_built("SELECT 1", "+1", 100000, "", "P67");
	check_built("SELECT 1", "+1", 9000, "", "P67");
	check_built("SELECT 1", "+1", 400, "", NULL);
	check_built("SELECT ", "(", 100000, "1", "P67");
	check_built("SELECT ", "(", 501, "1", "P67");
	check_built("SELECT ", "(", 500, "1", "P65");
	check_built("SELECT ", "NOT ", 19000, "true", "P65 P67");
	check_built("SELECT ", "- ", 19000, "1", "P65 P67");
	check_built("SELECT ", "CASE WHEN ", 6000, "1", "P65 P67");
	check_built("SELECT 1", " UNION SELECT 1", 6000, "", "P67");
	check_built("SELECT 1", " UNION SELECT 1", 400, "", NULL);
	check_built("SELECT 1 WHERE a IN (1", ",1", 9900, ")", NULL);
	check_built("SELECT 1 WHERE a IN (1", ",1", 9998, ")", "P67");
	check_built("SELECT true", " AND true", 9000, "", NULL);
	check_built("SELECT '", "x", SQL_TEXT_MAX - 9, "'", NULL);
	check_built("SELECT '", "x", SQL_TEXT_MAX - 8, "'", "P67");
	check_built("SELECT a", "[1]", 5000, "", NULL);
	check_built("SELECT a", "::int", 6000, "", "P65 P67");
	check_built("/*", "/*", 100000, "", "P64");
	check_built("SELECT $a", "$b", 100000, "$", "P64 P65 P67");
	check_built("", "(SELECT ", 300, "1", "P65 P67");
	check_built("SELECT * FROM t", " JOIN t ON true", 4000, "", "P67");
	check_built("WITH ", "a AS (SELECT 1), ", 2500, "b AS (SELECT 1) SELECT 1", NULL);
	check_built("", ";", 19999, "", NULL);
	/* Runs of operator characters, where the parser's scanner would take quadratic time. */
	check_built("SELECT 1 ", "+-", 120000, "1", "P64");
	check_built("SELECT 1 ", "/", 250000, "1", "P64");
	check_built("SELECT 1", "+/**/", 50000, "1", "P64");
	check_built("SELECT 1", "/**/", 60000, "", "P64");
	check_built("/*",
		    "*/"
		    "/*",
		    60000, "*/ SELECT 1", "P64");
	check_built("/*", "*", 250000, "*/ SELECT 1", NULL);
	check_built("SELECT 1 --", "-", 250000, "", NULL);
	check_built("SELECT '", "+-", 120000, "'", NULL);
	check_built("SELECT 1", "\n/*********/", 10000, "", NULL);
}

static void check_bytes(const char *text, size_t len, const char *rule, const char *state)
{
	struct sql_result r, pre;

	assert_int_equal(sql_precheck(text, len, &pre), -EINVAL);
	assert_int_equal(sql_classify(SQL_POSTGRES, text, len, &r), 0);
	assert_int_equal(r.verdict, SQL_DENY);
	assert_string_equal(r.rule, rule);
	assert_string_equal(r.sqlstate, state);
	assert_string_equal(pre.rule, rule);
}

static void test_P11_zero_bytes(void **state)
{
	(void)state;
	check_bytes("SELECT 1\0", 9, "P11", "42601");
	check_bytes("SELECT 1\0; DROP TABLE t", 23, "P11", "42601");
	check_bytes("\0", 1, "P11", "42601");
	assert_int_equal(classify("SELECT 1").verdict, SQL_ALLOW);
}

static void test_P21_utf8(void **state)
{
	static const char *const bad[] = {
		"SELECT '\xff'",
		"SELECT '\xc0\xaf'",
		"SELECT '\xed\xa0\x80'",
		"SELECT '\xf4\x90\x80\x80'",
		"SELECT '\xe0\x80\xaf'",
		"SELECT E'\x83\\', 777 --'",
		"SELECT '\xe2\x82",
		"\x80SELECT 1",
		"SELECT '\xf0\x80\x80\x80'",
		"SELECT '\xc3'",
		"SELECT '\xfe\xff'",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_bytes(bad[i], strlen(bad[i]), "P21", "22021");
	assert_int_equal(
		classify(
			"SELECT '\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf'")
			.verdict,
		SQL_ALLOW);
	assert_int_equal(classify("SELECT \xc3\xa9 FROM \"\xe2\x82\xac\"").verdict, SQL_ALLOW);
	/* A no-break space is no blank to PostgreSQL. */
	assert_int_equal(classify("SELECT\xc2\xa0"
				  "1")
				 .verdict,
			 SQL_DENY);
}

/* P70: what is said to hold for any literals does; and literals do not change the fingerprint. */
static void test_P70_fingerprints(void **state)
{
	(void)state;
	assert_true(classify("SELECT 1, 'a'").fingerprint ==
		    classify("select  2 ,\n'b' -- x").fingerprint);
	assert_true(classify("SELECT 1").fingerprint != classify("SELECT '1'").fingerprint);
	assert_true(classify("SELECT E'a'").fingerprint != classify("SELECT 'a'").fingerprint);
	assert_true(classify("SELECT 1").fingerprint != classify("SELECT $1").fingerprint);
	assert_true(classify("SELECT -1").fingerprint != classify("SELECT 1").fingerprint);
	assert_true(classify("SELECT a").fingerprint != classify("SELECT \"A\"").fingerprint);
	assert_true(classify("SELECT 1 IN (1,2,3)").fingerprint ==
		    classify("SELECT 1 IN (4,5)").fingerprint);
	assert_true(classify("SELECT nextval('a')").fingerprint ==
		    classify("SELECT nextval('b')").fingerprint);
	assert_true(classify("SELECT 1").literal_independent);
	assert_true(classify("UPDATE t SET a = 1").literal_independent);
	assert_false(classify("SET extra_float_digits = 3").literal_independent);
	assert_false(classify("SELECT set_config('search_path', '', false)").literal_independent);
	assert_false(classify("COPY t TO STDOUT (ENCODING 'UTF8')").literal_independent);
}

struct meaning {
	const char *text;
	enum sql_kind kind;
	const char *name, *value;
	bool local, is_default, returns_row;
};

static void test_meanings(void **state)
{
	static const struct meaning cases[] = {
		{"SET LOCAL statement_timeout = '5s'", SQL_KIND_SET, "statement_timeout", "5s",
		 true, false, false},
		{"SET NAMES 'utf-8'", SQL_KIND_SET, "client_encoding", "UTF8", false, false, false},
		{"SET search_path TO \"$user\", public, \"a\"\"b\"", SQL_KIND_SET, "search_path",
		 "\"$user\", \"public\", \"a\"\"b\"", false, false, false},
		{"SELECT set_config('search_path', 'Public, \"X y\"', true)", SQL_KIND_SET,
		 "search_path", "\"public\", \"X y\"", true, false, true},
		{"SELECT pg_catalog.set_config('search_path', '', false)", SQL_KIND_SET,
		 "search_path", "", false, false, true},
		{"SET datestyle TO iso, dmy", SQL_KIND_SET, "datestyle", "iso, dmy", false, false,
		 false},
		{"SET default_transaction_read_only = yes", SQL_KIND_SET,
		 "default_transaction_read_only", "on", false, false, false},
		{"RESET search_path", SQL_KIND_RESET, "search_path", "", false, true, false},
		{"SET default_transaction_read_only TO DEFAULT", SQL_KIND_RESET,
		 "default_transaction_read_only", "", false, true, false},
		{"RESET ALL", SQL_KIND_RESET_ALL, "", "", false, false, false},
		{"DISCARD ALL", SQL_KIND_DISCARD_ALL, "", "", false, false, false},
		{"SAVEPOINT \"a b\"", SQL_KIND_SAVEPOINT, "a b", "", false, false, false},
		{"ROLLBACK TO x", SQL_KIND_ROLLBACK_TO, "x", "", false, false, false},
		{"RELEASE SAVEPOINT X", SQL_KIND_RELEASE, "x", "", false, false, false},
		{"PREPARE p AS SELECT 1", SQL_KIND_PREPARE, "p", "", false, false, false},
		{"EXECUTE p(1)", SQL_KIND_EXECUTE, "p", "", false, false, false},
		{"DEALLOCATE ALL", SQL_KIND_DEALLOCATE, "", "", false, false, false},
		{"DECLARE c CURSOR FOR SELECT 1", SQL_KIND_DECLARE, "c", "", false, false, false},
		{"CLOSE ALL", SQL_KIND_CLOSE, "", "", false, false, false},
		{"SHOW TIME ZONE", SQL_KIND_SHOW, "timezone", "", false, false, false},
		{"/* */ ;", SQL_KIND_EMPTY, "", "", false, false, false},
		{"COPY t TO STDOUT", SQL_KIND_COPY_OUT, "", "", false, false, false},
		{"LOCK t IN ACCESS SHARE MODE", SQL_KIND_LOCK_NOOP, "", "", false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct meaning *m = &cases[i];
		struct sql_result r = classify(m->text);

		if (r.verdict != SQL_ALLOW || r.kind != m->kind)
			fail_msg("%s: %s, %s", m->text, sql_kind_name(r.kind), r.reason);
		assert_string_equal(r.name, m->name);
		assert_string_equal(r.value, m->value);
		assert_true(r.local == m->local && r.is_default == m->is_default &&
			    r.returns_row == m->returns_row);
	}
}

static void test_transaction_modes(void **state)
{
	struct sql_result r = classify("BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE");

	(void)state;
	assert_int_equal(r.kind, SQL_KIND_BEGIN);
	assert_int_equal(r.tx.isolation, SQL_SERIALIZABLE);
	assert_true(r.tx.read_only && r.tx.deferrable && !r.tx.chain);
	r = classify("COMMIT AND CHAIN");
	assert_int_equal(r.kind, SQL_KIND_COMMIT);
	assert_true(r.tx.chain && !r.tx.read_only);
	assert_int_equal(r.tx.isolation, SQL_ISOLATION_UNSET);
	r = classify("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
	assert_int_equal(r.kind, SQL_KIND_SET_TRANSACTION);
	assert_int_equal(r.tx.isolation, SQL_READ_COMMITTED);
	r = classify("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ");
	assert_int_equal(r.kind, SQL_KIND_SET_CHARACTERISTICS);
	assert_int_equal(r.tx.isolation, SQL_REPEATABLE_READ);
}

/* Positions are characters, as PostgreSQL's own errors count them; texts in reasons are printable.
 */
static void test_refusals(void **state)
{
	struct sql_result r = classify("SELECT '\xc3\xa9\xc3\xa9', nextval('s')");

	(void)state;
	assert_int_equal(r.position, 14);
	r = classify("SELECT '\xc3\xa9' FROM FROM");
	assert_int_equal(r.position, 17);
	r = classify("SELECT 'x");
	assert_int_equal(r.position, 8);
	r = classify("SELECT \"a\nb\x1b[2J\"()");
	assert_string_equal(r.reason, "a?b?[2J() is not on the list of reading functions");
	r = classify("CREATE INDEX ON t(a)");
	assert_string_equal(r.reason, "CREATE is not a statement that only reads");
	assert_true(r.hint[0]);
}

/* sql_result_check() takes nothing that could mislead: every field spoilt in turn. */
static void test_untrusted_results(void **state)
{
	const struct sql_result good = classify("SELECT 1"), refusal = classify("DROP TABLE t");
	struct sql_result r;

	(void)state;
	r = good;
	r.verdict = 3;
	assert_int_equal(sql_result_check(&r), -EBADMSG);
	r = good;
	r.kind = SQL_KIND_COUNT;
	assert_int_equal(sql_result_check(&r), -EBADMSG);
	r = good;
	r.kind = SQL_KIND_NONE;
	assert_int_equal(sql_result_check(&r), -EBADMSG);
	r = refusal;
	r.kind = SQL_KIND_SELECT;
	assert_int_equal(sql_result_check(&r), -EBADMSG);
	r = good;
	r.tx.isolation = SQL_ISOLATION_COUNT;
	assert_int_equal(sql_result_check(&r), -EBADMSG);
	r = good;
	memset(&r.local, 2, 1);
	assert_int_equal(sql_result_check(&r), -EBADMSG);
	r = good;
	memset(r.name, 'x', sizeof(r.name));
	assert_int_equal(sql_result_check(&r), -EBADMSG);
	r = refusal;
	memset(r.reason, 'x', sizeof(r.reason));
	assert_int_equal(sql_result_check(&r), -EBADMSG);
	r = refusal;
	r.sqlstate[0] = '\0';
	assert_int_equal(sql_result_check(&r), -EBADMSG);
	r = refusal;
	r.reason[0] = '\n';
	assert_int_equal(sql_result_check(&r), 0);
	assert_int_equal(r.reason[0], '?');
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_LEN(rows)];
	const struct CMUnitTest others[] = {
		cmocka_unit_test(test_P11_zero_bytes), cmocka_unit_test(test_P21_utf8),
		cmocka_unit_test(test_P67_caps),       cmocka_unit_test(test_P70_fingerprints),
		cmocka_unit_test(test_meanings),       cmocka_unit_test(test_transaction_modes),
		cmocka_unit_test(test_refusals),       cmocka_unit_test(test_untrusted_results),
	};
	int failed;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		tests[i] = (struct CMUnitTest){.name = rows[i].name,
					       .test_func = check_row,
					       .initial_state = (void *)(uintptr_t)&rows[i]};
	failed = cmocka_run_group_tests_name("rows", tests, NULL, NULL);
	return failed + cmocka_run_group_tests_name("others", others, NULL, NULL);
}
