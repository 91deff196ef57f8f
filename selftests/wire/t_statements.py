# SPDX-License-Identifier: Apache-2.0
"""Rows P19-P70 that are about statements: each text goes through the gate in both protocols and in
mutations, and the server's state is compared before and after. What is allowed is the twin."""

from raw import SYNC, Raw, bind, error_of, execute, kinds, parse, query, rows_of
from suite import check, test

# Row, SQLSTATE (None: any refusal of the gate), texts.
DENIED = [
    ("P19", None, ["SELECT 1; SELECT 2", "SELECT 1; DROP TABLE orders",
                   "SELECT 1;; COMMIT; DROP SCHEMA public CASCADE"]),
    ("P20", None, ["SET client_encoding = 'SJIS'", "SET NAMES 'GBK'", "SET client_encoding TO BIG5",
                   "SELECT set_config('client_encoding', 'SJIS', false)"]),
    ("P22", None, ["SET standard_conforming_strings = off",
                   "SELECT set_config('standard_conforming_strings', 'off', false)"]),
    ("P23", None, ["SET backslash_quote = on", "SET transform_null_equals = on"]),
    ("P24", "25006", ["INSERT INTO orders VALUES (1000, 'x', 1)", "UPDATE orders SET amount = 0",
                      "DELETE FROM orders", "TRUNCATE orders", "CREATE TABLE t (a int)",
                      "DROP TABLE orders", "ALTER TABLE orders ADD b int",
                      "MERGE INTO orders o USING orders p ON o.id = p.id WHEN MATCHED THEN DELETE"]),
    ("P25", None, ["WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x",
                   "SELECT * FROM (WITH y AS (UPDATE orders SET amount = 0 RETURNING *) "
                   "SELECT * FROM y) z",
                   "WITH x AS (INSERT INTO orders VALUES (9999) RETURNING 1) SELECT 1"]),
    ("P26", None, ["SELECT * INTO copied FROM orders", "SELECT 1 AS a INTO TEMP t UNION SELECT 2",
                   "CREATE TABLE c AS SELECT 1"]),
    ("P27", None, ["SELECT * FROM orders FOR UPDATE", "SELECT * FROM orders FOR NO KEY UPDATE",
                   "SELECT * FROM orders FOR SHARE", "SELECT * FROM orders FOR KEY SHARE",
                   "SELECT * FROM (SELECT * FROM orders FOR UPDATE) x"]),
    ("P28", None, ["EXPLAIN ANALYZE DELETE FROM orders",
                   "EXPLAIN (ANALYZE) INSERT INTO orders VALUES (5000)",
                   "EXPLAIN ANALYZE CREATE TABLE c AS SELECT 1"]),
    ("P29", None, ["EXPLAIN DELETE FROM orders", "EXPLAIN SELECT write_something()"]),
    ("P31", None, ["COPY orders TO '/tmp/pinfold-copied'", "COPY orders TO PROGRAM 'id'",
                   "COPY orders FROM STDIN", "COPY orders FROM PROGRAM 'id'",
                   "COPY (DELETE FROM orders RETURNING *) TO STDOUT"]),
    ("P32", None, ["BEGIN READ WRITE", "START TRANSACTION READ WRITE",
                   "SET TRANSACTION READ WRITE",
                   "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"]),
    ("P34", None, ["PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'"]),
    ("P35", None, ["SET default_transaction_read_only = off", "SET transaction_read_only = off",
                   "SET work_mem = '64GB'", "SET LOCAL transaction_read_only TO off"]),
    ("P37", None, ["SET ROLE postgres", "SET SESSION AUTHORIZATION postgres"]),
    ("P38", None, ["SELECT set_config('transaction_read_only', 'off', false)",
                   "SELECT pg_catalog.set_config('role', 'postgres', false)",
                   "SELECT \"set_config\"('default_transaction_read_only', 'off', false)",
                   "SELECT query_to_xml('SELECT set_config(''role'', ''x'', false)', "
                   "true, true, '')"]),
    ("P39", None, ["DO $$ BEGIN COMMIT; SET TRANSACTION READ WRITE; "
                   "UPDATE orders SET amount = 0; END $$", "CALL write_something()"]),
    ("P40", None, ["SELECT write_something()", "SELECT public.write_something()"]),
    ("P43", None, ["SELECT nextval('serial_numbers')", "SELECT setval('serial_numbers', 5)",
                   "VALUES (nextval('serial_numbers'))"]),
    ("P44", None, ["SELECT lo_create(0)", "SELECT lo_creat(-1)", "SELECT lo_from_bytea(0, 'x')",
                   "SELECT lo_unlink(1)", "SELECT lo_import('/etc/passwd')",
                   "SELECT lo_export(1, '/tmp/x')", "SELECT lo_put(1, 0, 'x')"]),
    ("P45", None, ["NOTIFY c", "LISTEN c", "UNLISTEN c", "SELECT pg_notify('c', 'x')"]),
    ("P46", None, ["SELECT pg_advisory_lock(1)", "SELECT pg_advisory_lock(1, 2)",
                   "SELECT pg_try_advisory_lock(1)", "SELECT pg_advisory_xact_lock_shared(1)"]),
    ("P47", None, ["LOCK TABLE orders", "LOCK TABLE orders IN ROW EXCLUSIVE MODE"]),
    ("P48", None, ["VACUUM", "ANALYZE orders", "CLUSTER", "REINDEX TABLE orders", "CHECKPOINT",
                   "LOAD 'x'"]),
    ("P49", None, ["REFRESH MATERIALIZED VIEW m", "COMMENT ON TABLE orders IS 'x'",
                   "SECURITY LABEL ON TABLE orders IS 'x'", "GRANT ALL ON orders TO PUBLIC",
                   "IMPORT FOREIGN SCHEMA s FROM SERVER x INTO public",
                   "CREATE EXTENSION adminpack", "CREATE DATABASE other"]),
    ("P50", None, ["ALTER SYSTEM SET work_mem = '1GB'", "SELECT pg_reload_conf()",
                   "SELECT pg_rotate_logfile()", "SELECT pg_switch_wal()",
                   "SELECT pg_create_restore_point('x')", "SELECT pg_backup_start('x')",
                   "SELECT pg_promote()", "SELECT pg_wal_replay_pause()"]),
    ("P51", None, ["SELECT pg_create_physical_replication_slot('s')",
                   "SELECT pg_create_logical_replication_slot('s', 'test_decoding')",
                   "SELECT pg_drop_replication_slot('s')",
                   "SELECT pg_logical_slot_get_changes('s', NULL, NULL)",
                   "SELECT pg_logical_emit_message(true, 'a', 'b')",
                   "SELECT pg_replication_origin_create('o')"]),
    ("P52", None, ["SELECT pg_terminate_backend(1)", "SELECT pg_cancel_backend(1)"]),
    ("P53", None, ["SELECT pg_sleep(0)", "SELECT pg_sleep_for('0')"]),
    ("P54", None, ["SELECT pg_read_file('/etc/passwd')", "SELECT pg_read_binary_file('PG_VERSION')",
                   "SELECT pg_ls_dir('.')", "SELECT pg_stat_file('PG_VERSION')",
                   "SELECT pg_catalog.pg_file_write('x', 'y', false)",
                   "SELECT pg_current_logfile()"]),
    ("P55", None, ["SELECT dblink('dbname=shop', 'UPDATE orders SET amount = 0')",
                   "SELECT dblink_exec('x', 'DELETE FROM orders')",
                   "SELECT * FROM dblink('dbname=shop', 'SELECT 1') AS t(a int)",
                   "SELECT http_get('http://example.org/')"]),
    ("P56", None, ["SELECT query_to_xml('SELECT write_something()', true, true, '')",
                   "SELECT * FROM ts_stat('SELECT write_something()::text::tsvector')",
                   "SELECT ts_rewrite('a'::tsquery, 'SELECT write_something()')",
                   "SELECT database_to_xml(true, true, '')",
                   "SELECT cursor_to_xml('c', 1, true, true, '')",
                   "SELECT * FROM crosstab('SELECT 1') AS t(a int)"]),
    ("P57", None, ["SELECT pg_stat_reset()"]),
    ("P58", None, ["SELECT txid_current()", "SELECT pg_current_xact_id()",
                   "SELECT pg_export_snapshot()"]),
    ("P59", None, ["CREATE TEMP TABLE t (a int)"]),
    ("P60", None, ["ALTER ROLE reader PASSWORD 'mine'", "ALTER USER reader SET work_mem = '1GB'"]),
    ("P61", None, ["VALUES (write_something())", "TABLE orders FOR UPDATE",
                   "SELECT CASE WHEN true THEN nextval('serial_numbers') END"]),
    ("P62", None, ["-- x\rDROP TABLE orders", "/* /* */ SELECT */ DELETE FROM orders",
                   "--\nUPDATE orders SET amount = 0"]),
    ("P63", None, ["SELECT U&\"\\006eextval\"('serial_numbers')",
                   "SELECT u&\"!0073et_config\" UESCAPE '!' ('role', 'x', false)",
                   "SELECT NEXTVAL('serial_numbers')", "SELECT \"nextval\"('serial_numbers')"]),
    ("P64", None, ["SELECT $a$'$a$, nextval('serial_numbers')",
                   "SELECT E'\\'', nextval('serial_numbers'), ''",
                   "SELECT 'a'\n'b', nextval('serial_numbers')"]),
    ("P65", None, ["SELECT * FROM JSON_TABLE('[]', '$[*]' COLUMNS (a int PATH '$'))",
                   "SELECT 1_000 FROM nowhere_"]),
    ("P66", None, ["SELECT JSON_ARRAY(1, nextval('serial_numbers'))"]),
    ("P67", None, ["SELECT " + "(" * 600 + "1" + ")" * 600, "SELECT 1" + "+1" * 30000,
                   "SELECT " + "x" * (256 * 1024), "SELECT 1 IN (" + "1," * 20000 + "1)"]),
    ("P68", None, ["SELECT * FROM write_something()",
                   "SELECT * FROM ROWS FROM (write_something(), generate_series(1, 2)) x",
                   "SELECT o.id FROM orders o, LATERAL write_something() w",
                   "SELECT count(*) FILTER (WHERE write_something() = 1) FROM orders",
                   "SELECT sum(id) OVER (ORDER BY nextval('serial_numbers')) FROM orders",
                   "SELECT * FROM XMLTABLE('/a' PASSING query_to_xml('x', true, true, '') "
                   "COLUMNS b text)"]),
    ("P69", None, ["SELECT * FROM pg_authid", "SELECT * FROM pg_catalog.pg_shadow",
                   "SELECT * FROM pg_user_mappings", "SELECT * FROM pg_user_mapping",
                   "SELECT subconninfo FROM pg_subscription", "TABLE pg_hba_file_rules"]),
]

ALLOWED = [
    ("P19", ["SELECT 1;", "SELECT 'a;b'"]),
    ("P20", ["SET client_encoding = 'UTF8'", "SET NAMES 'UTF8'"]),
    ("P21", ["SELECT 'žluťoučký 🐎'"]),
    ("P22", ["SET standard_conforming_strings = on"]),
    ("P24", ["SELECT * FROM orders", "SELECT 'INSERT INTO orders'", "SELECT 1 AS \"delete\""]),
    ("P25", ["WITH x AS (SELECT * FROM orders) SELECT count(*) FROM x",
             "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) "
             "SELECT sum(n) FROM t"]),
    ("P26", ["SELECT 'into'", "SELECT 1 UNION SELECT 2"]),
    ("P27", ["SELECT 'for update' FROM orders"]),
    ("P28", ["EXPLAIN ANALYZE SELECT * FROM orders"]),
    ("P29", ["EXPLAIN SELECT * FROM orders", "EXPLAIN (FORMAT json) SELECT 1"]),
    ("P30", ["COPY orders TO STDOUT", "COPY (SELECT 1) TO STDOUT WITH (FORMAT csv)"]),
    ("P35", ["SET datestyle = 'ISO, DMY'", "SET TIME ZONE 'UTC'", "RESET datestyle",
             "RESET default_transaction_read_only", "SET application_name = 'x'"]),
    ("P36", ["DISCARD ALL", "RESET ALL"]),
    ("P43", ["SELECT last_value FROM serial_numbers"]),
    ("P50", ["SELECT current_setting('work_mem')", "SHOW work_mem"]),
    ("P58", ["SELECT now(), clock_timestamp() > now()"]),
    ("P61", ["SHOW server_version", "VALUES (1, 2), (3, 4)", "TABLE orders", "SELECT 1",
             "SELECT"]),
    ("P62", ["/* /* DROP */ */ SELECT 1", "SELECT 1 -- ; DROP TABLE orders",
             "-- DROP TABLE orders\nSELECT 1"]),
    ("P63", ["SELECT U&'\\0064rop'", "SELECT \"id\" FROM \"orders\""]),
    ("P64", ["SELECT $$nextval('serial_numbers')$$", "SELECT E'a\\'b'", "SELECT B'101', X'1F'",
             "SELECT 'a'\n'b'"]),
    ("P66", ["SELECT json_build_array(1, 2)"]),
    ("P67", ["SELECT " + "(" * 100 + "1" + ")" * 100, "SELECT 1" + "+1" * 100]),
    ("P68", ["SELECT * FROM generate_series(1, 3)",
             "SELECT * FROM ROWS FROM (generate_series(1, 2), generate_series(1, 3)) AS x(a, b)",
             "SELECT o.id FROM orders o, LATERAL (SELECT o.id + 1) w",
             "SELECT count(*) FILTER (WHERE id > 5) FROM orders"]),
    ("P69", ["SELECT rolname FROM pg_roles LIMIT 1"]),
]


def mutations(sql):
    """The same statement otherwise written."""
    yield sql
    if sql.startswith(("--", "/*")):
        return
    yield "/* SELECT 1; */ " + sql
    yield "-- SELECT\n" + sql + " ;"
    yield "\t\n" + sql.replace(" ", "\n", 1)
    first = sql.split(" ", 1)
    yield first[0].swapcase() + (" " + first[1] if len(first) > 1 else "")


def refused(out, sqlstate):
    e = error_of(out)
    if e is None or not e["M"].startswith("pinfold: denied by rule P"):
        return False
    # A driver would take these for a lost connection, and try again elsewhere.
    if e["C"][:2] in ("08", "57"):
        return False
    return sqlstate is None or e["C"] == sqlstate


def deny_test(row, sqlstate, texts):
    def run(world):
        before = world.pg.state()
        with Raw(world.gate.port) as c:
            for sql in texts:
                for text in mutations(sql):
                    out = c.ask(query(text))
                    check(refused(out, sqlstate), f"simple: {text[:200]!r}: {out[:3]}")
                    check(kinds(out) == "EZ" and out[-1].body == b"I", kinds(out))
                out = c.ask(parse(sql, "s1"), bind("", "s1"), execute(), SYNC)
                check(refused(out, sqlstate), f"extended: {sql[:200]!r}: {out[:3]}")
                check(kinds(out) == "EZ", kinds(out))
                # In a transaction, in a pipeline behind a read.
                out = c.ask(query("BEGIN"))
                out = c.ask(parse("SELECT 1"), bind(), execute(), parse(sql), bind(), execute(),
                            SYNC)
                check(refused(out, sqlstate) and rows_of(out) == [["1"]], f"piped: {sql[:200]!r}")
                check(out[-1].body == b"T", "true transaction status")
                c.ask(query("COMMIT"))
            check(rows_of(c.ask(query("SELECT 1"))) == [["1"]], "out of sync")
        after = world.pg.state()
        check(before == after, "the server's state changed")
    return run


def allow_test(texts):
    def run(world):
        before = world.pg.state()
        with Raw(world.gate.port) as c:
            for sql in texts:
                for text in mutations(sql):
                    out = c.ask(query(text))
                    check(error_of(out) is None, f"simple: {text[:200]!r}: {error_of(out)}")
                out = c.ask(parse(sql, "a"), bind("", "a"), execute(), SYNC)
                check(error_of(out) is None, f"extended: {sql[:200]!r}: {error_of(out)}")
                c.ask(query("DEALLOCATE ALL"))
        check(before == world.pg.state(), "the server's state changed")
    return run


for _row, _state, _texts in DENIED:
    test(f"{_row} denied, in every way of sending it")(deny_test(_row, _state, _texts))
for _row, _texts in ALLOWED:
    test(f"{_row} twin: allowed")(allow_test(_texts))


@test("P21 invalid UTF-8 in a text")
def p21(world):
    with Raw(world.gate.port) as c:
        for bad in (b"SELECT '\xff'", b"SELECT '\xc0\xaf'", b"SELECT '\xed\xa0\x80'",
                    b"SELECT E'\\x83\\', 777 --'\x83", b"SELECT '\xf5\x80\x80\x80'",
                    b"SELECT '\xe2\x82'"):
            out = c.ask(query(bad))
            check("P21" in error_of(out)["M"], out)
            out = c.ask(parse(bad), SYNC)
            check("P21" in error_of(out)["M"], out)
        check(rows_of(c.ask(query("SELECT '€'"))) == [["€"]], "valid UTF-8")


@test("P16 SQL PREPARE and the protocol's statements do not meet")
def p16(world):
    before = world.pg.state()
    with Raw(world.gate.port) as c:
        check(error_of(c.ask(query("PREPARE w AS UPDATE orders SET amount = 0"))), "PREPARE")
        check(error_of(c.ask(query("EXECUTE w")))["C"] == "26000", "EXECUTE of nothing")
        check(error_of(c.ask(query("PREPARE r AS SELECT $1::int"))) is None, "PREPARE of a read")
        check(rows_of(c.ask(query("EXECUTE r(5)"))) == [["5"]], "EXECUTE")
        check(error_of(c.ask(query("PREPARE r AS SELECT 1")))["C"] == "42P05", "twice")
        c.ask(parse("SELECT 1", "proto"), SYNC)
        check(error_of(c.ask(query("EXECUTE proto")))["C"] == "26000", "protocol's by SQL")
        for name in ("pf:b0", "pf:c", "pf:s1"):
            check(error_of(c.ask(query(f'EXECUTE "{name}"')))["C"] == "26000", name)
            check(error_of(c.ask(query(f'DEALLOCATE "{name}"')))["C"] == "26000", name)
            check(error_of(c.ask(query(f'PREPARE "{name}" AS SELECT 1')))["C"] == "42602", name)
            check(error_of(c.ask(bind("", name), SYNC))["C"] == "26000", name)
        check(error_of(c.ask(query("DEALLOCATE r"))) is None, "DEALLOCATE")
        check(error_of(c.ask(query("EXECUTE r(5)")))["C"] == "26000", "after DEALLOCATE")
    check(before == world.pg.state(), "the server's state changed")


@test("P70 the cache answers for exact bytes only")
def p70(world):
    start = len(world.gate.records)
    with Raw(world.gate.port) as c:
        for _ in range(3):
            check(rows_of(c.ask(query("SELECT 'nextval'"))) == [["nextval"]], "allowed")
            check(error_of(c.ask(query("SELECT nextval('serial_numbers')"))), "denied")
            check(error_of(c.ask(query("SELECT  nextval('serial_numbers')"))), "denied")
            check(rows_of(c.ask(query("SELECT 'nextvaL'"))) == [["nextvaL"]], "allowed")
            # Same tokens but for a literal that decides.
            check(error_of(c.ask(query("SET datestyle = 'ISO'"))) is None, "SET")
            check(error_of(c.ask(query("SET client_encoding = 'ISO'"))), "SET")
            check(error_of(c.ask(query("SET client_encoding = 'UTF8'"))) is None, "SET")
    world.gate.wait_record("records", lambda r: r.get("verdict") == "deny", start)


@test("P41 P42 what no parser sees: the transaction cannot be lifted, and ends in ROLLBACK")
def belt(world):
    before = world.pg.state()
    lift = "SELECT a FROM lifting"
    with Raw(world.gate.port) as c:
        check(error_of(c.ask(query(lift)))["C"] == "25001", "lift inside a view")
        out = c.ask(parse(lift, "l"), bind("", "l"), execute(), SYNC)
        check(error_of(out)["C"] == "25001", f"lift inside a view: {out}")
        # Bind of a statement that was planned before: no Parse takes the snapshot.
        check(error_of(c.ask(bind("", "l"), execute(), SYNC))["C"] == "25001", "from a plan")
        c.ask(query("PREPARE s AS " + lift))
        check(error_of(c.ask(query("EXECUTE s")))["C"] == "25001", "from an SQL plan")
        c.ask(query("BEGIN"))
        check(error_of(c.ask(query(lift)))["C"] == "25001", "in a transaction")
        c.ask(query("ROLLBACK"))
        check(error_of(c.ask(query("COPY (SELECT a FROM lifting) TO STDOUT")))["C"] == "25001",
              "COPY")
        check(error_of(c.ask(query("EXPLAIN ANALYZE " + lift)))["C"] == "25001", "EXPLAIN")
        # Large objects may be made in a read-only transaction: it must not last.
        check(error_of(c.ask(query("SELECT a FROM making"))) is None, "lo_create ran")
        c.ask(query("BEGIN"))
        check(error_of(c.ask(query("SELECT a FROM making"))) is None, "lo_create ran")
        c.ask(query("COMMIT"))
    check(before == world.pg.state(), "something lasts")
    check(world.pg.psql("BEGIN READ WRITE; SELECT a FROM making; ROLLBACK"), "baseline: it works")
    check(world.pg.psql("BEGIN READ ONLY; SELECT a FROM making; ROLLBACK"), "baseline: it works")


@test("P40 P46 P53 attribute notation calls no function that is not allowed")
def attribute_notation(world):
    with Raw(world.gate.port) as c:
        for text, rule in (("SELECT (5::bigint).pg_advisory_lock", "P46"),
                           ("SELECT x.pg_advisory_lock FROM generate_series(5::bigint, 5) x", "P46"),
                           ("SELECT ((ARRAY[5::bigint])[1]).pg_try_advisory_lock", "P46"),
                           ("SELECT (0::float8).pg_sleep", "P53")):
            # What it is without the gate: a call.
            check(world.pg.psql(text).strip() in ("", "t"), f"{text} is no call")
            e = error_of(c.ask(query(text)))
            check(e and e["C"] == "42501" and rule in e["M"], (text, e))
        out = c.ask(query("SELECT (o).row_to_json->>'id', o.id FROM orders o WHERE (o).id = 7"))
        check(rows_of(out) == [["7", "7"]], out)


@test("P35 a setting made by a function does not outlive its statement")
def pinned(world):
    with Raw(world.gate.port) as c:
        check(error_of(c.ask(query("SELECT a FROM switching"))) is None, "the function ran")
        check(rows_of(c.ask(query("SHOW default_transaction_read_only"))) == [["on"]], "lasts")
        # Inside a transaction of the client the server reports the change at once.
        c.ask(query("BEGIN"))
        c.send(query("SELECT a FROM switching"))
        check(c.closed(), "default_transaction_read_only was switched off unnoticed")


@test("records: verdict, rule, kind, rows and text of each statement")
def records(world):
    start = len(world.gate.records)
    with Raw(world.gate.port) as c:
        c.ask(query("SELECT id FROM orders WHERE id <= 7"))
        c.ask(query("DELETE FROM orders WHERE customer = 'a\"b\\c\x01'"))
        c.ask(query("SELECT nope"))
    def of(text):
        return lambda r: r.get("text", "").startswith(text)
    (r,) = world.gate.wait_record("allowed", of("SELECT id FROM orders WHERE id <= 7"), start)
    check((r["verdict"], r["kind"], r["rows"], r["db"]) == ("allow", "select", 7, "orders"), r)
    check(r["us"] > 0 and r["bytes"] > 0 and len(r["fingerprint"]) == 16, r)
    check(r["at"].endswith("Z") and r["at"][10] == "T", r)
    (r,) = world.gate.wait_record("denied", of("DELETE"), start)
    check((r["verdict"], r["rule"]) == ("deny", "P24") and r["reason"], r)
    check(r["text"].endswith("'a\"b\\c\x01'"), r)
    (r,) = world.gate.wait_record("failed", of("SELECT nope"), start)
    check(r["verdict"] == "allow" and r["error"] == "42703", r)


@test("records: of a long statement the beginning, and how long it was")
def records_cut(world):
    start = len(world.gate.records)
    texts = {n: f"SELECT '{n}".ljust(n - 1, "x") + "'" for n in (256, 257, 70000)}
    with Raw(world.gate.port) as c:
        for text in texts.values():
            c.ask(query(text))
            c.ask(query(text.replace("SELECT", "DELETE")))
    for n, text in texts.items():
        for told in (text[:256], text.replace("SELECT", "DELETE")[:256]):
            (r,) = world.gate.wait_record(told[:12], lambda r, t=told: r.get("text") == t, start)
            check(r.get("truncated") == ({"text": n} if n > 256 else None), r)


@test("records: a statement that is allowed, and refused because of where it stands")
def records_of_place(world):
    start = len(world.gate.records)
    texts = (("DECLARE nowhere CURSOR FOR SELECT 1", "25P01"), ("EXECUTE no_such_name", "26000"),
             ('PREPARE "pf:mine" AS SELECT 1', "42602"))
    with Raw(world.gate.port) as c:
        for text, state in texts:
            check(error_of(c.ask(query(text)))["C"] == state, text)
    for text, state in texts:
        (r,) = world.gate.wait_record(text, lambda r, t=text: r.get("text") == t, start)
        check((r["verdict"], r["executed"], r["error"]) == ("allow", False, state), r)
