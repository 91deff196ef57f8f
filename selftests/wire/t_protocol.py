# SPDX-License-Identifier: Apache-2.0
"""Rows P1-P15 and P18: framing, start-up, the message level."""

import socket
import ssl
import struct

from harness import DEADLINE, wait_for
from raw import (FLUSH, GSS_REQUEST, SSL_REQUEST, SYNC, Closed, Raw, bind, close, cstr, describe,
                 error_of, execute, kinds, msg, parse, query, rows_of, startup)
from suite import check, test


def still_serves(world):
    with Raw(world.gate.port) as c:
        check(rows_of(c.ask(query("SELECT 41 + 1"))) == [["42"]], "the gate does not serve")


def killed(world, rule, *data, login=True):
    """The bytes cost the connection, the record names the rule, the gate lives."""
    start = len(world.gate.records)
    with Raw(world.gate.port, login=login) as c:
        c.send(*data)
        check(c.closed(), "the connection stayed open")
    world.gate.wait_record(f"kill by {rule}", lambda r: r.get("event") == "kill" and
                           r.get("rule") == rule, start)
    still_serves(world)


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def session_tls(world):
    context = ssl.create_default_context(cadata=world.gate.ca_pem)
    return context


@test("P1 bytes after SSLRequest before TLS")
def p1(world):
    killed(world, "P1", SSL_REQUEST + startup(), login=False)
    killed(world, "P1", SSL_REQUEST + b"\x16\x03\x01", login=False)


@test("P1 twin: SSLRequest, then TLS verified by the session's CA")
def p1_twin(world):
    with Raw(world.gate.port, tls=session_tls(world)) as c:
        check(rows_of(c.ask(query("SELECT 1"))) == [["1"]], "no row over TLS")
        check(c.sock.version() in ("TLSv1.2", "TLSv1.3"), "old TLS")


@test("P1 second SSLRequest inside TLS")
def p1_second(world):
    with Raw(world.gate.port, login=False, tls=session_tls(world)) as c:
        c.send(SSL_REQUEST)
        check(c.closed(), "a second SSLRequest was accepted")
    still_serves(world)


@test("P2 GSSENCRequest is answered N, then SSLRequest and start-up work")
def p2(world):
    with Raw(world.gate.port, login=False) as c:
        c.send(GSS_REQUEST)
        check(c.take(1) == b"N", "not N")
        c.start_tls(session_tls(world))
        c.send(startup())
        c.welcome()
    killed(world, "P8", GSS_REQUEST + GSS_REQUEST, login=False)


@test("P3 direct TLS needs the protocol name; without it the connection is closed")
def p3(world):
    start = len(world.gate.records)
    raw = socket.create_connection(("127.0.0.1", world.gate.port), timeout=DEADLINE)
    tls = unverified().wrap_socket(raw)
    try:
        tls.sendall(startup())
        check(tls.recv(1) == b"", "served without ALPN")
    except (ConnectionError, ssl.SSLError):
        pass
    tls.close()
    world.gate.wait_record("kill by P3", lambda r: r.get("rule") == "P3", start)
    context = unverified()
    context.set_alpn_protocols(["postgresql"])
    c = Raw.__new__(Raw)
    c.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", world.gate.port),
                                                          timeout=DEADLINE))
    c.params, c.key = {}, None
    c.send(startup())
    c.welcome()
    check(rows_of(c.ask(query("SELECT 1"))) == [["1"]], "direct TLS with ALPN does not work")
    c.close()


@test("P4 replication connections")
def p4(world):
    for value in ("true", "database", "on", "1", "yes", "TRUE", ""):
        killed(world, "P4", startup({"user": "a", "database": "d", "replication": value}),
               login=False)
    with Raw(world.gate.port, params={"user": "a", "database": "d", "replication": "false"}) as c:
        check(rows_of(c.ask(query("SELECT 1"))) == [["1"]], "replication=false is a plain login")


def refused_startup(world, params, rule):
    with Raw(world.gate.port, login=False) as c:
        c.send(startup(params))
        fields = error_of(c.until("E"))
        check(rule in fields["M"], fields)
        check(fields["C"] == "42501" and fields["S"] == "FATAL", fields)
        check(c.closed(), "stayed open")


@test("P5 start-up options are stripped, bad values refused, good ones applied")
def p5(world):
    params = {"user": "a", "database": "d", "options": "-c default_transaction_read_only=off",
              "application_name": "agent x", "DateStyle": "German", "TimeZone": "Asia/Tokyo",
              "IntervalStyle": "iso_8601", "extra_float_digits": "2", "client_encoding": "utf-8"}
    with Raw(world.gate.port, params=params) as c:
        check(c.params["TimeZone"] == "Asia/Tokyo", c.params)
        check(c.params["DateStyle"].startswith("German"), c.params)
        check(c.params["application_name"] == "agent x", c.params)
        check(rows_of(c.ask(query("SHOW default_transaction_read_only"))) == [["on"]], "stripped")
        check(rows_of(c.ask(query("SHOW transaction_read_only"))) == [["on"]], "read-only")
    bad = {"application_name": "x" * 64, "DateStyle": "ISO'; DROP", "extra_float_digits": "1;2",
           "TimeZone": "UTC'--"}
    for k, v in bad.items():
        refused_startup(world, {"user": "a", "database": "d", k: v}, "P5")
    with Raw(world.gate.port, params={"user": "a", "application_name": "x" * 63}) as c:
        check(c.params["application_name"] == "x" * 63, "63 bytes are allowed")


@test("P6 role, session_authorization, search_path and unknown settings at start-up")
def p6(world):
    for k, v in {"role": "postgres", "session_authorization": "postgres",
                 "search_path": "public,pg_catalog", "session_preload_libraries": "x",
                 "statement_timeout": "0", "default_transaction_read_only": "off",
                 "transaction_read_only": "off", "standard_conforming_strings": "off",
                 "Role": "postgres", "work_mem": "64GB"}.items():
        refused_startup(world, {"user": "a", "database": "d", k: v}, "P6")


@test("P7 newer minor protocol and _pq_ options are negotiated down")
def p7(world):
    with Raw(world.gate.port, login=False) as c:
        c.send(startup({"user": "a", "database": "d", "_pq_.command_progress": "1"},
                       version=0x30002))
        out = c.welcome()
        v = [m for m in out if m.kind == "v"]
        check(len(v) == 1, kinds(out))
        check(v[0].body == struct.pack("!ii", 0, 1) + cstr("_pq_.command_progress"), v[0].body)
        check(rows_of(c.ask(query("SELECT 1"))) == [["1"]], "no service after negotiation")
    with Raw(world.gate.port, login=False) as c:
        c.send(startup(version=0x20000))
        check(error_of(c.until("E"))["C"] == "0A000", "protocol 2")


@test("P8 a second StartupMessage, and password messages after the login")
def p8(world):
    killed(world, "P8", startup())
    killed(world, "P12", msg("p", cstr("secret")))


@test("P9 CancelRequest reaches this session's statement, and only with its key")
def p9(world):
    with Raw(world.gate.port) as c:
        pid, key = c.key
        slow = ("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b")
        c.send(query(slow))
        wait_for("the statement runs", lambda: "active" in world.pg.psql(
            "SELECT state FROM pg_stat_activity WHERE query LIKE '%100000) b'"
            " AND pid <> pg_backend_pid()"))
        for wrong in ((pid, key ^ 1), (pid + 1, key), (0, 0)):
            s = socket.create_connection(("127.0.0.1", world.gate.port), timeout=DEADLINE)
            s.sendall(struct.pack("!iiII", 16, 80877102, *wrong))
            check(s.recv(1) == b"", "something was answered")
            s.close()
        check("active" in world.pg.psql("SELECT state FROM pg_stat_activity WHERE query LIKE "
                                        "'%100000) b' AND pid <> pg_backend_pid()"),
              "a wrong key cancelled")
        s = socket.create_connection(("127.0.0.1", world.gate.port), timeout=DEADLINE)
        s.sendall(struct.pack("!iiII", 16, 80877102, pid, key))
        s.close()
        out = c.until("Z")
        check(error_of(out)["C"] == "57014", "not cancelled")
        check(rows_of(c.ask(query("SELECT 7"))) == [["7"]], "unusable after cancel")


@test("P9 a client that goes away takes its running statement along, unread bytes or not")
def p9_gone(world):
    running = ("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE "
               "'%99999) b' AND pid <> pg_backend_pid()")
    # More than the gate reads ahead, and less than its socket holds.
    for more in (b"", query("SELECT '" + "x" * 1000 + "'") * 80):
        c = Raw(world.gate.port)
        c.send(query("SELECT count(*) FROM generate_series(1, 100000) a, "
                     "generate_series(1, 99999) b"), more)
        wait_for("it runs", lambda: world.pg.psql(running).strip() == "1")
        c.close()
        wait_for("it was cancelled", lambda: world.pg.psql(running).strip() == "0")


@test("P10 impossible, negative and huge lengths")
def p10(world):
    for n in (0, 1, 3, -1, -2147483648):
        killed(world, "P10", b"Q" + struct.pack("!i", n))
    killed(world, "P10", b"Q" + struct.pack("!i", 0x7fffffff) + b"SELECT 1\0")
    killed(world, "P10", b"B" + struct.pack("!i", 0x7fffffff))
    killed(world, "P10", struct.pack("!ii", 0x7fffffff, 0x30000), login=False)
    killed(world, "P10", struct.pack("!i", 3), login=False)
    killed(world, "P10", struct.pack("!i", -1), login=False)
    killed(world, "P10", struct.pack("!ii", 12, 80877103) + b"xxxx", login=False)


@test("P10 caps: at the limit answered, one past it killed")
def p10_caps(world):
    limit = 1024 * 1024
    with Raw(world.gate.port) as c:
        body = b"SELECT 1".ljust(limit - 1, b" ") + b"\0"
        out = c.ask(msg("Q", body))
        check("P67" in error_of(out)["M"], "a text of 1 MiB is refused by the parser's cap")
        check(rows_of(c.ask(query("SELECT 1"))) == [["1"]], "out of sync")
    killed(world, "P10", b"Q" + struct.pack("!i", limit + 1 + 4))
    value = "x" * (16 * 1024 * 1024 - 64)
    with Raw(world.gate.port) as c:
        out = c.ask(parse("SELECT length($1::text)"), bind(values=[value]), execute(), SYNC)
        check(rows_of(out) == [[str(len(value))]], "a Bind of almost 16 MiB")
    killed(world, "P10", b"B" + struct.pack("!i", 16 * 1024 * 1024 + 1 + 4))
    killed(world, "P10", b"D" + struct.pack("!i", 8192 + 1 + 4))


@test("P11 a NUL inside a text, and bytes behind its end")
def p11(world):
    killed(world, "P11", msg("Q", b"SELECT 1\0; DROP TABLE orders\0"))
    killed(world, "P11", msg("Q", b"SELECT 1"))
    killed(world, "P11", msg("Q", b""))
    killed(world, "P11", msg("P", b"\0SELECT 1\0\0\0x"))
    killed(world, "P11", msg("P", b"\0SELECT 1\0\0\5"))
    killed(world, "P10", msg("B", b"\0\0" + struct.pack("!hhi", 0, 1, 0x7fffffff)))
    killed(world, "P10", msg("B", b"\0\0" + struct.pack("!hh", 0, 0) + b"\0"))
    killed(world, "P10", msg("E", b"\0\0\0"))
    killed(world, "P10", msg("S", b"x"))


@test("P12 unknown message types")
def p12(world):
    for kind in "AGIKNRTVWZbpz12":
        killed(world, "P12", msg(kind, b"\0"))
    killed(world, "P12", b"\xff\0\0\0\4")


@test("P13 FunctionCall")
def p13(world):
    body = struct.pack("!Ihh", 2078, 0, 3)  # set_config
    for v in (b"default_transaction_read_only", b"off", b"f"):
        body += struct.pack("!i", len(v)) + v
    with Raw(world.gate.port) as c:
        out = c.ask(msg("F", body + struct.pack("!h", 0)))
        check(kinds(out) == "EZ" and "P13" in error_of(out)["M"], out)
        check(rows_of(c.ask(query("SHOW default_transaction_read_only"))) == [["on"]], "was run")


@test("P14 pipelined COMMIT and UPDATE before one Sync")
def p14(world):
    before = world.pg.state()
    with Raw(world.gate.port) as c:
        out = c.ask(parse("BEGIN"), bind(), execute(), parse("SELECT 1"), bind(), execute(),
                    parse("COMMIT"), bind(), execute(), parse("UPDATE orders SET amount = 0"),
                    bind(), execute(), parse("SELECT 2"), bind(), execute(), SYNC)
        check(error_of(out)["C"] == "25006", out)
        check(rows_of(out) == [["1"]], "what came after the refusal ran")
        check(kinds(out).endswith("EZ") and out[-1].body == b"I", kinds(out))
        out = c.ask(parse("SELECT 3"), bind(), execute(), SYNC)
        check(rows_of(out) == [["3"]], "out of sync")
    check(world.pg.state() == before, "something was written")


@test("P14 twin: a pipeline of reads, several batches in one packet")
def p14_twin(world):
    with Raw(world.gate.port) as c:
        one = parse("SELECT $1::int") + bind(values=["5"]) + describe("P") + execute()
        c.send(one, one, SYNC, query("SELECT 6"), one, SYNC)
        check(rows_of(c.until("Z")) == [["5"], ["5"]], "first batch")
        check(rows_of(c.until("Z")) == [["6"]], "simple query in between")
        check(rows_of(c.until("Z")) == [["5"]], "last batch")


@test("P15 after an error everything up to Sync is skipped, and never came to be")
def p15(world):
    with Raw(world.gate.port) as c:
        out = c.ask(parse("SELECT nope"), parse("SELECT 1", "later"), bind("", "later"),
                    execute(), SYNC)
        check(kinds(out) == "EZ" and error_of(out)["C"] == "42703", out)
        out = c.ask(bind("", "later"), execute(), SYNC)
        check(error_of(out)["C"] == "26000", "a statement after the error exists")
        out = c.ask(parse("DELETE FROM orders"), parse("SELECT 1", "later"), SYNC)
        check(kinds(out) == "EZ" and error_of(out)["C"] == "25006", out)
        out = c.ask(bind("", "later"), execute(), SYNC)
        check(error_of(out)["C"] == "26000", "a statement after the refusal exists")
        check(kinds(c.ask(parse("SELECT 1", "later"), SYNC)) == "1Z", "the name is free")
        out = c.ask(parse("SELECT 2", "later"), SYNC)
        check(error_of(out)["C"] == "42P05", "a name twice")
        check(rows_of(c.ask(bind("", "later"), execute(), SYNC)) == [["1"]], "the first holds")
        out = c.ask(parse("SELECT nope"), close("S", "later"), SYNC)
        check(rows_of(c.ask(bind("", "later"), execute(), SYNC)) == [["1"]], "closed by a skip")
        check(kinds(c.ask(close("S", "later"), parse("SELECT 2", "later"), SYNC)) == "31Z",
              "close and parse again")
        check(rows_of(c.ask(bind("", "later"), execute(), SYNC)) == [["2"]], "the second")


@test("P15 described, with row limits and Flush")
def p15_more(world):
    with Raw(world.gate.port) as c:
        out = c.ask(parse("SELECT id FROM orders WHERE id <= $1 ORDER BY id", "s"),
                    describe("S", "s"), SYNC)
        check(kinds(out) == "1tTZ", kinds(out))
        c.send(query("BEGIN"))
        c.until("Z")
        c.send(bind("p", "s", ["5"]), execute("p", 2), FLUSH)
        out = c.until("s")
        check(rows_of(out) == [["1"], ["2"]], out)
        out = c.ask(execute("p", 2), execute("p", 9), SYNC)
        check(rows_of(out) == [["3"], ["4"], ["5"]] and "C" in kinds(out), out)
        check(kinds(c.ask(close("P", "p"), SYNC)) == "3Z", "close portal")
        out = c.ask(execute("p"), SYNC)
        check(error_of(out)["C"] == "34000", "a closed portal")
        c.ask(query("ROLLBACK"))


@test("P17 an SQL cursor is no portal of the protocol")
def p17(world):
    with Raw(world.gate.port) as c:
        c.ask(query("BEGIN"))
        c.ask(query("DECLARE cur CURSOR FOR SELECT 1"))
        check(error_of(c.ask(execute("cur"), SYNC))["C"] == "34000", "shared namespace")
        check(error_of(c.ask(describe("P", "cur"), SYNC))["C"] == "34000", "shared namespace")
        c.ask(query("ROLLBACK"))


@test("P18 COPY messages outside of COPY: swallowed, then closed")
def p18(world):
    with Raw(world.gate.port) as c:
        c.send(msg("d", b"x") * 998, msg("c"), msg("f", cstr("no")))
        check(rows_of(c.ask(query("SELECT 1"))) == [["1"]], "1000 of them")
        c.send(msg("d", b"x"))
        check(c.closed(), "1001 of them")
    still_serves(world)


@test("half a message, half a start-up packet, silence")
def halves(world):
    for data in (b"", b"\0", b"\0\0\0", startup()[:9]):
        with Raw(world.gate.port, login=False) as c:
            c.send(data)
    for data in (b"Q", b"Q\0\0", b"Q\0\0\0\x20SELECT", parse("SELECT 1")[:7]):
        with Raw(world.gate.port) as c:
            c.send(data)
    still_serves(world)


@test("bytes one by one")
def single_bytes(world):
    with Raw(world.gate.port) as c:
        data = parse("SELECT 1") + bind() + describe("P") + execute() + SYNC
        for i in range(len(data)):
            c.send(data[i:i + 1])
        check(rows_of(c.until("Z")) == [["1"]], "split")


@test("empty query, both protocols")
def empty(world):
    with Raw(world.gate.port) as c:
        check(kinds(c.ask(query(""))) == "IZ", "simple")
        check(kinds(c.ask(query(" ; "))) == "IZ", "simple with a semicolon")
        check(kinds(c.ask(parse(""), bind(), execute(), SYNC)) == "12IZ", "extended")
        check(kinds(c.ask(SYNC)) == "Z", "Sync alone")


@test("terminate")
def terminate(world):
    with Raw(world.gate.port) as c:
        c.send(msg("X"))
        check(c.closed(), "stayed open")


_ = Closed
