# SPDX-License-Identifier: Apache-2.0
"""Rows P33 and P36, and cursors: transactions as a client sees them, and as the server does."""

from raw import SYNC, Raw, bind, error_of, execute, kinds, parse, query, rows_of
from suite import check, test


def tag(out):
    return [m.body.rstrip(b"\0").decode() for m in out if m.kind == "C"]


def status(out):
    return out[-1].body.decode()


@test("P33 BEGIN to COMMIT, status bytes and tags")
def commit(world):
    with Raw(world.gate.port) as c:
        out = c.ask(query("BEGIN"))
        check((tag(out), status(out)) == (["BEGIN"], "T"), out)
        out = c.ask(query("SELECT 1"))
        check((rows_of(out), status(out)) == ([["1"]], "T"), out)
        check(rows_of(c.ask(query("SHOW transaction_read_only"))) == [["on"]], "read-only")
        out = c.ask(query("COMMIT"))
        check((tag(out), status(out)) == (["COMMIT"], "I"), out)
        for words, expect in (("START TRANSACTION", "BEGIN"), ("END", "COMMIT"),
                              ("BEGIN WORK", "BEGIN"), ("ABORT", "ROLLBACK"),
                              ("BEGIN", "BEGIN"), ("COMMIT AND CHAIN", "COMMIT")):
            out = c.ask(query(words))
            check(tag(out) in ([expect], [words]), (words, out))
        check(status(out) == "T", "AND CHAIN opens the next one")
        check(status(c.ask(query("ROLLBACK"))) == "I", "end")


@test("P33 warnings outside and inside of transactions")
def warnings(world):
    with Raw(world.gate.port) as c:
        out = c.ask(query("COMMIT"))
        check(kinds(out) == "NCZ" and status(out) == "I", out)
        c.ask(query("BEGIN"))
        out = c.ask(query("BEGIN"))
        check(kinds(out) == "NCZ" and status(out) == "T", out)
        check(tag(c.ask(query("ROLLBACK"))) == ["ROLLBACK"], "rollback")


@test("P33 failed transactions")
def failed(world):
    with Raw(world.gate.port) as c:
        c.ask(query("BEGIN"))
        check(status(c.ask(query("SELECT nope"))) == "E", "E after an error")
        check(error_of(c.ask(query("SELECT 1")))["C"] == "25P02", "aborted")
        check(error_of(c.ask(query("BEGIN")))["C"] == "25P02", "aborted, for the gate's own too")
        out = c.ask(query("COMMIT"))
        check((tag(out), status(out)) == (["ROLLBACK"], "I"), out)
        check(rows_of(c.ask(query("SELECT 2"))) == [["2"]], "after")
        # Extended: BEGIN that is skipped because of an earlier error did not happen.
        out = c.ask(parse("SELECT nope"), parse("BEGIN"), bind(), execute(), SYNC)
        check(status(out) == "I", out)
        out = c.ask(parse("BEGIN"), bind(), execute(), parse("SELECT nope"), SYNC)
        check(status(out) == "E", out)
        out = c.ask(parse("ROLLBACK"), bind(), execute(), parse("SELECT 3"), bind(), execute(),
                    SYNC)
        check((rows_of(out), status(out)) == ([["3"]], "I"), out)


@test("P33 savepoints, with awkward names")
def savepoints(world):
    with Raw(world.gate.port) as c:
        check(error_of(c.ask(query("SAVEPOINT a")))["C"] == "25P01", "outside")
        c.ask(query("BEGIN"))
        for name in ("a", '"B c"', '"x""; COMMIT; --"'):
            check(error_of(c.ask(query(f"SAVEPOINT {name}"))) is None, name)
            check(status(c.ask(query("SELECT nope"))) == "E", name)
            out = c.ask(query(f"ROLLBACK TO {name}"))
            check(error_of(out) is None and status(out) == "T", out)
            check(error_of(c.ask(query(f"RELEASE SAVEPOINT {name}"))) is None, name)
        check(rows_of(c.ask(query("SELECT 5"))) == [["5"]], "still in it")
        check(status(c.ask(query("COMMIT"))) == "I", "end")


@test("P33 isolation levels reach the server")
def isolation(world):
    with Raw(world.gate.port) as c:
        for level in ("read committed", "repeatable read", "serializable", "read uncommitted"):
            c.ask(query(f"BEGIN ISOLATION LEVEL {level}"))
            check(rows_of(c.ask(query("SHOW transaction_isolation"))) == [[level]], level)
            c.ask(query("COMMIT"))
        c.ask(query("BEGIN"))
        c.ask(query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        check(rows_of(c.ask(query("SHOW transaction_isolation"))) == [["repeatable read"]], "SET")
        check(error_of(c.ask(query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")))["C"] ==
              "25001", "too late")
        c.ask(query("ROLLBACK"))
        c.ask(query("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
        check(rows_of(c.ask(query("SHOW transaction_isolation"))) == [["serializable"]], "session")


@test("P33 a snapshot holds within a transaction and not between statements")
def snapshot(world):
    with Raw(world.gate.port) as c:
        count = query("SELECT count(*) FROM witness")
        (before,) = rows_of(c.ask(count))
        c.ask(query("BEGIN ISOLATION LEVEL REPEATABLE READ"))
        c.ask(count)
        world.pg.psql("INSERT INTO witness (what) VALUES ('seen')")
        check(rows_of(c.ask(count)) == [before], "in the transaction")
        c.ask(query("COMMIT"))
        check(rows_of(c.ask(count)) == [[str(int(before[0]) + 1)]], "after it")
        first = rows_of(c.ask(query("SELECT now()")))
        check(first != rows_of(c.ask(query("SELECT now()"))), "a transaction per statement")


@test("P33 nothing stays open on the server between statements")
def idle(world):
    with Raw(world.gate.port, params={"user": "a", "application_name": "idle probe"}) as c:
        c.ask(query("SELECT 1"))
        c.ask(query("SELECT nope"))
        c.ask(query("SELECT 1"))
        check(world.pg.psql("SELECT state FROM pg_stat_activity WHERE application_name = "
                            "'idle probe'").strip() == "idle", "idle in transaction")


@test("P35 P36 settings last, are undone, and do not leak to the next client")
def settings(world):
    show = query("SHOW datestyle")
    with Raw(world.gate.port) as c:
        (default,) = rows_of(c.ask(show))
        out = c.ask(query("SET datestyle = 'German, DMY'"))
        check(any(m.kind == "S" and b"German" in m.body for m in out), "ParameterStatus")
        check(rows_of(c.ask(show)) == [["German, DMY"]], "lasts")
        c.ask(query("RESET datestyle"))
        check(rows_of(c.ask(show)) == [default], "RESET")
        c.ask(query("BEGIN"))
        c.ask(query("SET datestyle = 'SQL, MDY'"))
        c.ask(query("COMMIT"))
        check(rows_of(c.ask(show)) == [["SQL, MDY"]], "SET in a committed transaction")
        c.ask(query("BEGIN"))
        c.ask(query("SET datestyle = 'German, DMY'"))
        c.ask(query("ROLLBACK"))
        check(rows_of(c.ask(show)) == [["SQL, MDY"]], "SET in a transaction rolled back")
        check(tag(c.ask(query("RESET ALL"))) == ["RESET"], "RESET ALL")
        check(rows_of(c.ask(show)) == [default], "RESET ALL")
        c.ask(parse("SELECT 1", "kept"), SYNC)
        c.ask(query("SET datestyle = 'German, DMY'"))
        check(tag(c.ask(query("DISCARD ALL"))) == ["DISCARD ALL"], "DISCARD ALL")
        check(rows_of(c.ask(show)) == [default], "DISCARD ALL")
        check(error_of(c.ask(bind("", "kept"), SYNC))["C"] == "26000", "statement discarded")
        check(rows_of(c.ask(query("SHOW default_transaction_read_only"))) == [["on"]], "pinned")
        c.ask(query("SET datestyle = 'German, DMY'"))
    for _ in range(4):
        with Raw(world.gate.port) as c:
            check(rows_of(c.ask(show)) == [default], "leaked to the next client")


@test("P17 cursors: DECLARE, FETCH, MOVE, CLOSE")
def cursors(world):
    with Raw(world.gate.port) as c:
        check(error_of(c.ask(query("DECLARE c CURSOR FOR SELECT 1")))["C"] == "25P01", "outside")
        c.ask(query("BEGIN"))
        check(error_of(c.ask(query("DECLARE c CURSOR FOR SELECT id FROM orders ORDER BY id")))
              is None, "DECLARE")
        check(rows_of(c.ask(query("FETCH 2 FROM c"))) == [["1"], ["2"]], "FETCH")
        check(tag(c.ask(query("MOVE 3 IN c"))) == ["MOVE 3"], "MOVE")
        out = c.ask(parse("FETCH 1 FROM c"), bind(), execute(), SYNC)
        check(rows_of(out) == [["6"]], "FETCH in the extended protocol")
        check(tag(c.ask(query("CLOSE c"))) == ["CLOSE CURSOR"], "CLOSE")
        check(error_of(c.ask(query("DECLARE h CURSOR WITH HOLD FOR SELECT 1"))), "WITH HOLD")
        check(error_of(c.ask(query("DECLARE d CURSOR FOR SELECT nextval('serial_numbers')"))),
              "denied inside")
        c.ask(query("COMMIT"))


@test("P33 nobody gets a transaction through the extended protocol's statements")
def extended(world):
    with Raw(world.gate.port) as c:
        c.ask(parse("BEGIN", "b"), parse("COMMIT", "c"), parse("SHOW transaction_read_only", "s"),
              SYNC)
        for _ in range(2):
            out = c.ask(bind("", "b"), execute(), bind("", "s"), execute(), bind("", "c"),
                        execute(), bind("", "s"), execute(), SYNC)
            check(rows_of(out) == [["on"], ["on"]] and status(out) == "I", out)
        out = c.ask(bind("", "s"), execute(), bind("", "b"), execute(), bind("", "s"), execute(),
                    SYNC)
        check(rows_of(out) == [["on"], ["on"]] and status(out) == "T", out)
        check(status(c.ask(bind("", "c"), execute(), SYNC)) == "I", "commit")


def batch(*texts):
    """One extended batch."""
    return b"".join(parse(t) + bind() + execute() for t in texts) + SYNC


@test("P32 P35 the default of transaction_read_only is off: no RESET in front of a function")
def reset_read_only(world):
    before = world.pg.state()
    with Raw(world.gate.port) as c:
        for text in ("RESET transaction_read_only", "SET transaction_read_only TO DEFAULT",
                     "SET LOCAL transaction_read_only = DEFAULT",
                     "reset /* x */ \"transaction_read_only\""):
            check(error_of(c.ask(query(text)))["C"] == "25006", text)
            out = c.ask(batch(text, "SELECT a FROM lifting"))
            check(error_of(out)["C"] == "25006" and "D" not in kinds(out), out)
        # Settings take no snapshot of their own: it is there before the function runs.
        for text in ("SET datestyle = 'ISO'", "RESET datestyle", "RESET ALL", "DISCARD ALL",
                     "SET transaction_read_only = on"):
            out = c.ask(batch(text, "SELECT a FROM lifting"))
            check(error_of(out)["C"] == "25001", f"{text}: {out}")
    check(before == world.pg.state(), "something was written")


@test("P33 P44 a setting that lasts does not make what a function did last")
def settings_last_alone(world):
    before = world.pg.state()
    making = "SELECT a FROM making"
    with Raw(world.gate.port) as c:
        def show(name):
            return rows_of(c.ask(query(f"SHOW {name}")))[0][0]
        for texts in (("SET extra_float_digits = 2", making), (making, "SET lock_timeout = 5"),
                      ("RESET datestyle", making), (making, "RESET ALL"), (making, "DISCARD ALL"),
                      (making, "SELECT set_config('lock_timeout', '6', false)")):
            check(error_of(c.ask(batch(*texts))) is None, texts)
            for text in ("BEGIN",) + texts[:1 + ("DISCARD ALL" not in texts)] + ("COMMIT",):
                check(error_of(c.ask(query(text))) is None, text)
            check(before == world.pg.state(), f"{texts}: something lasts")
        check(show("lock_timeout") == "6ms", "the setting lasts")
        # As the server would have left them, with savepoints and an error in between.
        for text in ("BEGIN", "SET extra_float_digits = 0", "SAVEPOINT a",
                     "SET extra_float_digits = 1", making, "ROLLBACK TO a",
                     "SET lock_timeout = 7", "SAVEPOINT b", "SET datestyle = 'German'",
                     "RELEASE b", "SAVEPOINT c", "SET intervalstyle = 'iso_8601'", "SELECT 1/0",
                     "ROLLBACK TO c", "SET LOCAL bytea_output = 'escape'", "COMMIT"):
            c.ask(query(text))
        check((show("extra_float_digits"), show("lock_timeout"), show("datestyle"),
               show("intervalstyle"), show("bytea_output")) ==
              ("0", "7ms", "German, DMY", "postgres", "hex"), "other settings than in PostgreSQL")
        for text in ("BEGIN", "SET lock_timeout = 8", making, "ROLLBACK"):
            c.ask(query(text))
        check(show("lock_timeout") == "7ms", "ROLLBACK kept a setting")
    check(before == world.pg.state(), "something lasts")


@test("P33 P44 what a parameter's type does is not committed with a setting")
def typed_parameters(world):
    before = world.pg.state()
    oid = int(world.pg.psql("SELECT 'minting'::regtype::oid"))
    typed = {"types": [oid]}
    with Raw(world.gate.port) as c:
        out = c.ask(parse("SELECT $1", **typed), bind(values=["1"]), execute(), SYNC)
        check(rows_of(out) == [["1"]], f"the type does not work at all: {out}")
        for text in ("SET lock_timeout = 5", "RESET lock_timeout",
                     "SELECT set_config('lock_timeout', '6', false)"):
            out = c.ask(parse(text, **typed), bind(values=["1"]), execute(), SYNC)
            check(error_of(out) is None, out)
            check(before == world.pg.state(), f"{text}: something lasts")
        for text in ("", "SHOW lock_timeout", "SAVEPOINT a", "SET lock_timeout = 8"):
            c.ask(query("BEGIN"))
            c.ask(query("SET lock_timeout = 7"))
            out = c.ask(parse(text, **typed), bind(values=["1"]), SYNC)
            check(error_of(out) is None, out)
            check(tag(c.ask(query("COMMIT"))) == ["COMMIT"], text)
            check(before == world.pg.state(), f"{text}: something lasts")
            check(rows_of(c.ask(query("SHOW lock_timeout"))) == [["7ms"]], "the setting lasts")


@test("settings and savepoints of one transaction: the limit, and one past it")
def settings_limit(world):
    with Raw(world.gate.port) as c:
        c.ask(query("BEGIN"))
        for i in range(256):
            check(error_of(c.ask(query(f"SET lock_timeout = {1000 + i}"))) is None, i)
        check(error_of(c.ask(query("SET lock_timeout = 1")))["C"] == "53400", "257")
        check(error_of(c.ask(query("SAVEPOINT s")))["C"] == "53400", "257")
        c.ask(query("SELECT 1"))
        c.ask(query("COMMIT"))
        check(rows_of(c.ask(query("SHOW lock_timeout"))) == [["1255ms"]], "the last one")
