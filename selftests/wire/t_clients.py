# SPDX-License-Identifier: Apache-2.0
"""Real clients, unmodified: psql, pgbench, pg_dump, psycopg2, JDBC."""

import os
import shutil
import subprocess
import sys
import tempfile

from harness import DEADLINE, PGBIN
from suite import Skip, check, test

HERE = os.path.dirname(os.path.abspath(__file__))
JDBC = "/usr/share/java/postgresql.jar"


def client(world, argv, stdin=None, gate=None, **env):
    gate = gate or world.gate
    base = {"PATH": os.environ["PATH"], "PGHOST": "127.0.0.1", "PGPORT": str(gate.port),
            "PGUSER": "agent", "PGDATABASE": "orders", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    base.update(env)
    return subprocess.run(argv, env=base, input=stdin, capture_output=True, text=True,
                          timeout=4 * DEADLINE, check=False)


def psql(world, *commands, **env):
    argv = ["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
    for c in commands:
        argv += ["-c", c]
    return client(world, argv, **env)


@test("psql: with and without a password, with any user and database")
def any_user(world):
    for env in ({}, {"PGPASSWORD": "wrong"}, {"PGUSER": "postgres", "PGDATABASE": "x"}):
        r = psql(world, "SELECT count(*) FROM orders", PGSSLMODE="prefer", **env)
        check(r.returncode == 0 and r.stdout.strip() == "100", r.stderr)


@test("psql: sslmode disable, require, verify-ca, verify-full with the session's CA")
def sslmodes(world):
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as f:
        f.write(world.gate.ca_pem)
        f.flush()
        for mode in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"):
            for host in ("localhost", "127.0.0.1"):
                r = psql(world, "SELECT 1", PGSSLMODE=mode, PGSSLROOTCERT=f.name, PGHOST=host)
                check(r.returncode == 0, f"{mode}: {r.stderr}")
        r = psql(world, "SELECT 1", PGSSLMODE="verify-full", PGSSLROOTCERT=f.name,
                 PGHOST="orders", PGHOSTADDR="127.0.0.1")
        check(r.returncode == 0, f"by the endpoint's name: {r.stderr}")
        r = psql(world, "SELECT 1", PGSSLMODE="verify-full", PGSSLROOTCERT=f.name,
                 PGHOST="elsewhere", PGHOSTADDR="127.0.0.1")
        check(r.returncode != 0 and "does not match host name" in r.stderr, "another name")
    r = psql(world, "SELECT 1", PGSSLMODE="verify-full", PGSSLROOTCERT=f"{world.pg.dir}/ca.crt")
    check(r.returncode != 0 and "certificate verify failed" in r.stderr, "another CA")


@test("psql: a denial exits 1 (not 2: no lost connection), names rule and hint")
def denial(world):
    r = psql(world, "DELETE FROM orders")
    check(r.returncode == 1, r.returncode)
    check("pinfold: denied by rule P24: DELETE is a write" in r.stderr, r.stderr)
    check("HINT:" in r.stderr, r.stderr)


@test("psql: backslash commands, completion queries, variables")
def backslash(world):
    commands = [r"\d", r"\d orders", r"\dt", r"\dn", r"\df", r"\du", r"\l", r"\dv", r"\di", r"\dx",
                r"\dp", r"\ds", r"\conninfo", r"\encoding", r"\sf abs(int)", r"\dT", r"\do",
                r"\dD", r"\dF", r"\db", r"\dC", r"\dd", r"\ddp", r"\des", r"\det", r"\dL", r"\dO",
                r"\dPt", r"\drds", r"\dy", r"\sv lifting", r"\d+ orders", r"\dt+", r"\l+"]
    r = client(world, ["psql", "-X", "-v", "ON_ERROR_STOP=1"], stdin="\n".join(commands) + "\n")
    check(r.returncode == 0, r.stderr)
    for word in ("orders_pkey", "serial_numbers", "witness"):
        check(word in r.stdout, word)
    completion = ("SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'S', 'v', "
                  "'m', 'f', 'p') AND (c.relname) LIKE 'or%' AND pg_catalog.pg_table_is_visible"
                  "(c.oid) AND c.relnamespace <> (SELECT oid FROM pg_catalog.pg_namespace WHERE "
                  "nspname = 'pg_catalog') LIMIT 1000")
    r = psql(world, completion)
    check(r.returncode == 0 and "orders" in r.stdout, r.stderr)


@test(r"P30 psql: \copy to a file, COPY TO STDOUT, FETCH_COUNT cursors")
def copy(world):
    with tempfile.TemporaryDirectory() as d:
        r = psql(world, rf"\copy orders to '{d}/o.csv' csv header")
        check(r.returncode == 0, r.stderr)
        with open(f"{d}/o.csv", encoding="utf-8") as f:
            check(len(f.readlines()) == 101, "rows")
        r = psql(world, rf"\copy orders from '{d}/o.csv' csv header")
        check(r.returncode == 1 and "P31" in r.stderr, "\\copy from")
    r = client(world, ["psql", "-X", "-A", "-t", "-v", "FETCH_COUNT=7"],
               stdin="SELECT id FROM orders ORDER BY id;\n")
    check(r.stdout.split() == [str(i) for i in range(1, 101)], r.stderr)


@test("pgbench -S: simple, extended, prepared; with TLS; reconnecting")
def pgbench(world):
    if "pgbench_accounts" not in world.pg.psql("SELECT relname FROM pg_class"):
        subprocess.run([f"{PGBIN}/pgbench", "-i", "-q", "-h", world.pg.dir, "-p",
                        str(world.pg.port), "-U", "postgres", "shop"], check=True,
                       capture_output=True)
        world.pg.psql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC")
    for args in (["-M", "simple"], ["-M", "extended"], ["-M", "prepared"], ["-M", "simple", "-C"]):
        for mode in ("disable", "require"):
            r = client(world, [f"{PGBIN}/pgbench", "-n", "-S", "-c", "4", "-t", "50"] + args,
                       PGSSLMODE=mode)
            check(r.returncode == 0 and "processed: 200/200" in r.stdout, r.stderr + r.stdout)
    r = client(world, [f"{PGBIN}/pgbench", "-n", "-c", "1", "-t", "1"])
    check(r.returncode != 0 and "P24" in r.stderr, "the writing script is refused")


@test("pg_dump of a table is what it is without the gate")
def pg_dump(world):
    def lines(text):
        return [l for l in text.splitlines() if not l.startswith(("\\restrict", "\\unrestrict"))]
    through = client(world, [f"{PGBIN}/pg_dump", "-t", "orders"])
    check(through.returncode == 0, through.stderr)
    direct = client(world, [f"{PGBIN}/pg_dump", "-t", "orders"], PGHOST=world.pg.dir,
                    PGPORT=str(world.pg.port), PGUSER="postgres", PGDATABASE="shop")
    check(lines(through.stdout) == lines(direct.stdout), "differs")
    check("customer 100" in through.stdout, "no data")


PSYCOPG = """
import io, sys, psycopg2
c = psycopg2.connect("")
k = c.cursor()
k.execute("SELECT id, customer FROM orders WHERE id < %s ORDER BY id", (3,))
assert k.fetchall() == [(1, "customer 1"), (2, "customer 2")]
try:
    k.execute("DELETE FROM orders")
    sys.exit("not refused")
except psycopg2.errors.ReadOnlySqlTransaction as e:
    assert "P24" in str(e)
k.execute("SELECT 5")
assert k.fetchone() == (5,), "the connection is in sync and open"
c.commit()
n = c.cursor("named")
n.itersize = 7
n.execute("SELECT id FROM orders ORDER BY id")
assert [r[0] for r in n] == list(range(1, 101))
c.rollback()
c.set_session(readonly=True, isolation_level="REPEATABLE READ")
k.execute("SHOW transaction_isolation")
assert k.fetchone() == ("repeatable read",)
c.commit()
out = io.StringIO()
k.copy_expert("COPY orders TO STDOUT", out)
assert len(out.getvalue().splitlines()) == 100
c.rollback()
c.reset()
c.set_client_encoding("UTF8")
c.close()
c = psycopg2.connect("")
c.autocommit = True
k = c.cursor()
k.execute("SELECT %s::text", ("\\u017elu\\u0165ou\\u010dk\\u00fd",))
assert k.fetchone()[0].startswith("\\u017e")
c.cancel()
"""


@test("psycopg2: parameters, refusal, named cursors, isolation, COPY, reset, cancel")
def psycopg(world):
    r = client(world, [sys.executable, "-c", PSYCOPG])
    check(r.returncode == 0, r.stderr)


@test("JDBC: statements, prepared ones, fetch size, batches, transactions")
def jdbc(world):
    if not shutil.which("java") or not os.path.exists(JDBC):
        raise Skip("no java or no JDBC driver")
    for mode in ("disable", "require"):
        url = f"jdbc:postgresql://127.0.0.1:{world.gate.port}/orders?user=u&password=p&sslmode={mode}"
        r = client(world, ["java", "-cp", JDBC, f"{HERE}/Jdbc.java", url])
        check(r.returncode == 0, r.stderr)
        check("all done" in r.stdout, r.stdout)
