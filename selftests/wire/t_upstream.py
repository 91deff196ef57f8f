# SPDX-License-Identifier: Apache-2.0
"""The gate's own login and its TLS towards the server, honest servers and others."""

import base64
import signal
import socket
import struct

import fake
from harness import Failure, Gate, wait_for
from raw import Raw, bind, cstr, error_of, execute, kinds, msg, parse, query, rows_of, startup, SYNC
from suite import check, test

VERIFIED = {"tls": "verify-full"}


def serves(gate):
    with Raw(gate.port) as c:
        check(rows_of(c.ask(query("SELECT count(*) FROM orders"))) == [["100"]], "no answer")


def login_error(gate):
    """What a client is told when the gate cannot log in."""
    with Raw(gate.port, login=False) as c:
        c.send(startup())
        return error_of(c.until("EZ"))


def with_gate(world, body, **kw):
    gate = world.new_gate(**kw)
    try:
        body(gate)
        check(gate.alive(), f"the gate died: {gate.log()}")
    finally:
        gate.stop()


@test("upstream: SCRAM, md5 and, under verified TLS only, a clear password")
def methods(world):
    ca = world.read("ca.crt")
    users = {"reader": "scram-secret-7Q", "reader_md5": "md5-secret-8W",
             "reader_clear": "clear-secret-9E"}
    used = {"reader": "SCRAM-SHA-256", "reader_md5": "md5", "reader_clear": "password"}
    unproved = "has not proved"

    def told(user, tls, warned):
        def body(gate):
            serves(gate)
            found = gate.wait_record("login", lambda r: r.get("event") == "login")
            for r in found:
                check((r["tls"], r["auth"]) == (tls, used[user]), r)
            check(gate.log().count(unproved) == (1 if warned else 0), gate.log())
        return body
    for user, password in users.items():
        with_gate(world, told(user, "verify-full", False), user=user, password=password,
                  tls="verify-full", ca_pem=ca)
    for tls in ("off", "require"):
        with_gate(world, told("reader_md5", tls, True), user="reader_md5",
                  password="md5-secret-8W", tls=tls)
        with_gate(world, told("reader", tls, False), tls=tls)

    def refused(gate):
        e = login_error(gate)
        check("in clear" in e["M"] and e["S"] == "FATAL", e)
    for tls in ("off", "require"):
        with_gate(world, refused, user="reader_clear", password="clear-secret-9E", tls=tls)


@test("upstream: a wrong password is an error without the account's name or password")
def wrong_password(world):
    def body(gate):
        e = login_error(gate)
        text = str(e) + gate.log()
        check(e["S"] == "FATAL" and "reader" not in str(e), e)
        check("not-the-password" not in text, "the password leaked")
    with_gate(world, body, password="not-the-password")


@test("upstream: verify-full, wrong CA, wrong host name, no TLS on the server")
def verify(world):
    ca, other = world.read("ca.crt"), world.read("other-ca.crt")
    with_gate(world, serves, tls="verify-full", ca_pem=ca)
    with_gate(world, serves, tls="require")

    def wrong_ca(gate):
        m = login_error(gate)["M"]
        check("certificate" in m, m)
    with_gate(world, wrong_ca, tls="verify-full", ca_pem=other)
    with_gate(world, wrong_ca, tls="verify-full")  # the system's bundle does not know it

    def wrong_host(gate):
        m = login_error(gate)["M"]
        check("hostname mismatch" in m.lower(), m)
    with_gate(world, wrong_host, tls="verify-full", ca_pem=ca, host="db.elsewhere")
    with_gate(world, lambda g: check("mismatch" in login_error(g)["M"].lower(), "address"),
              tls="verify-full", ca_pem=ca, host="127.0.0.1")

    def no_tls(peer):
        peer.first()
        peer.send(b"N")
        peer.first()
    server = fake.Fake(no_tls)
    for tls in ("verify-full", "require"):
        gate = Gate(world.binary, server.port, tls=tls, ca_pem=ca)
        check("does not offer TLS" in login_error(gate)["M"], "downgrade")
        gate.stop()
    server.stop()


@test("upstream: nobody there, a server that says nothing, one that hangs up")
def unreachable(world):
    server = fake.Fake(lambda peer: None)
    gate = Gate(world.binary, server.port)
    e = login_error(gate)
    check(e["C"] == "08001" and "orders" in e["M"], e)
    server.stop()
    e = login_error(gate)
    check("cannot be reached" in e["M"], e)
    check(gate.alive(), gate.log())
    gate.stop()


def connecting(port):
    """The number of connections that wait for the first answer of this port of 127.0.0.1."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f]
    return sum(1 for r in rows if r[2] == f"0100007F:{port:04X}" and r[3] == "02")


def full_listener():
    """A listener that answers nobody any more, and what keeps it busy."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    while not connecting(listener.getsockname()[1]):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(listener.getsockname())
        fillers.append(s)
    fillers.pop().close()
    return listener, fillers


@test("upstream: clients leave at the moment in which the server refuses the connections")
def refused_and_left(world):
    listener, fillers = full_listener()
    port = listener.getsockname()[1]
    gate = Gate(world.binary, port)
    clients = [Raw(gate.port, login=False) for _ in range(8)]
    try:
        for c in clients:
            c.send(startup())
        wait_for("one of the gate's own, and one per client", lambda: connecting(port) == 9)
        # Stopped, the gate sees both at once, in this order.
        gate.process.send_signal(signal.SIGSTOP)
        for s in fillers + [listener]:
            s.close()
        wait_for("refusals", lambda: connecting(port) == 0)
        for c in clients:
            c.close()
        gate.process.send_signal(signal.SIGCONT)
        wait_for("8 ends", lambda: not gate.alive() or
                 sum(r.get("event") == "close" for r in gate.records) == 8)
    finally:
        gate.process.send_signal(signal.SIGCONT)
        status = gate.stop()
    check(status == 0, f"the gate died: {gate.log()}")


@test("upstream: silence after the login, when the client's settings are due, has an end")
def silent_setup(world):
    def script(peer):
        peer.log_in()
        peer.take(1 << 20)
    server = fake.Fake(script)
    gate = Gate(world.binary, server.port)
    with Raw(gate.port, login=False) as c:
        c.send(startup({"user": "a", "application_name": "x"}))
        check(c.closed(), "it waits on")
    gate.wait_record("why", lambda r: r.get("reason") == "too slow")
    gate.stop()
    server.stop()


@test("upstream: a server that asks for no password at all is believed, and the record says so")
def no_authentication(world):
    server = fake.Fake(lambda peer: (peer.log_in(), peer.take(1 << 20)))
    gate = Gate(world.binary, server.port)
    with Raw(gate.port):
        pass
    gate.wait_record("login", lambda r: r.get("event") == "login" and r["auth"] == "none")
    check("has not proved" in gate.log(), gate.log())
    gate.stop()
    server.stop()


def hostile(world, script, expect=None):
    """No client is served by such a server, and the gate lives."""
    server = fake.Fake(script)
    gate = Gate(world.binary, server.port)
    try:
        with Raw(gate.port, login=False) as c:
            c.send(startup())
            out = c.until("EZ")
            if out[-1].kind == "Z":
                c.send(query("SELECT 1"))
                check(c.closed(), "served on")
            elif expect:
                check(expect in error_of(out)["M"], error_of(out))
        check(gate.alive(), f"the gate died: {gate.log()}")
    finally:
        gate.stop()
        server.stop()


def says(data):
    def script(peer):
        peer.first()
        peer.send(data)
        peer.take(1 << 20)
    return script


@test("P10 upstream: hostile lengths and nonsense during login")
def hostile_login(world):
    for data in (b"R\0\0\0\0", b"R\xff\xff\xff\xff", b"R\x7f\xff\xff\xff", b"E\x7f\xff\xff\xff",
                 b"R\0\0\0\x05x", b"\0" * 64, b"H" * 64, msg("T", b"\0\1"),
                 msg("R", struct.pack("!i", 99)), msg("R", struct.pack("!i", 7)),
                 msg("R", struct.pack("!i", 5) + b"ab"), fake.KEY, fake.READY,
                 fake.AUTH_OK + fake.AUTH_OK, fake.AUTH_OK + msg("Z", b"T"),
                 fake.AUTH_OK + msg("S", b"no end"), fake.AUTH_OK + msg("K", b"123")):
        hostile(world, says(data))


@test("upstream: what a server says before it serves goes to the log, not to the client")
def hostile_words(world):
    words = b"evil-words \x1b[31m\n" + b"x" * 2000

    def refuses_login(peer, code):
        peer.first()
        peer.send(fake.error("FATAL", code, words))
        peer.take(1)

    def refuses_setting(peer, code):
        peer.log_in()
        peer.until("S")
        peer.send(fake.error("ERROR", code, words))
        peer.take(1)

    def refuses_reset(peer, code):
        peer.first()
        peer.send(fake.login())
        peer.until("S")
        peer.send(fake.error("ERROR", code, words))
        peer.take(1)

    for script in (refuses_login, refuses_setting, refuses_reset):
        for code, told in (("53300", "53300"), ("28p01", "08001"), ("A\nB", "08001"),
                           ("123456", "08001"), ("", "08001")):
            server = fake.Fake(lambda peer, s=script, c=code: s(peer, c))
            gate = Gate(world.binary, server.port)
            with Raw(gate.port, login=False) as c:
                c.send(startup({"user": "a", "TimeZone": "nowhere"}))
                e = error_of(c.until("EZ"))
            check("evil" not in str(e) and "pinfold: " in e["M"], e)
            check((e["S"], e["C"]) == ("FATAL", told), (code, e))
            log = wait_for("the log", lambda g=gate: "evil" in g.log() and g.log())
            check(r"evil-words \x1b[31m\x0axxx" in log and "x" * 300 not in log, log)
            gate.stop()
            server.stop()
    # The real one: the client learns that it was its setting.
    with Raw(world.gate.port, login=False) as c:
        c.send(startup({"user": "a", "TimeZone": "No/Where"}))
        e = error_of(c.until("EZ"))
    check(e["C"] == "22023" and "setting" in e["M"] and "No/Where" not in e["M"], e)


@test("P20 P22 P35 upstream: a pinned setting is reported otherwise")
def pinned(world):
    for name, value in (("client_encoding", "SJIS"), ("standard_conforming_strings", "off"),
                        ("default_transaction_read_only", "off")):
        hostile(world, says(fake.login({**fake.GOOD, name: value})), "UTF-8")

        def later(peer, name=name, value=value):
            peer.log_in()
            peer.until("S")
            peer.send(fake.param(name, value))
            peer.take(1 << 20)
        hostile(world, later)
    hostile(world, says(fake.login({"server_version": "15.0"})))


def scram(first=None, final=None):
    """A SCRAM server; first and final make its messages from the client's nonce."""
    def script(peer):
        peer.first()
        peer.send(msg("R", struct.pack("!i", 10) + cstr("SCRAM-SHA-256") + b"\0"))
        check(peer.take(1) == b"p", "no SASLInitialResponse")
        (length,) = struct.unpack("!i", peer.take(4))
        body = peer.take(length - 4)
        nonce = body.split(b"r=")[1]
        peer.send(msg("R", struct.pack("!i", 11) + first(nonce)))
        peer.until("p")
        if final:
            peer.send(final)
        peer.take(1 << 20)
    return script


@test("upstream: SCRAM servers that cheat")
def scram_cheats(world):
    salt = base64.b64encode(b"0123456789abcdef")

    def good(nonce):
        return b"r=" + nonce + b"more,s=" + salt + b",i=4096"
    wrong = base64.b64encode(b"x" * 32)
    hostile(world, scram(good, fake.login()))  # AuthenticationOk without a signature
    hostile(world, scram(good, msg("R", struct.pack("!i", 12) + b"v=" + wrong) + fake.login()),
            "SCRAM")
    hostile(world, scram(good, msg("R", struct.pack("!i", 12) + b"v=") + fake.login()))
    for i in (b"1", b"4095", b"600001", b"99999999999", b"-4096", b"0x1000", b""):
        hostile(world, scram(lambda n, i=i: b"r=" + n + b"more,s=" + salt + b",i=" + i))
    hostile(world, scram(lambda n: b"r=" + n + b",s=" + salt + b",i=4096"))  # adds nothing
    hostile(world, scram(lambda n: b"r=other" + n + b",s=" + salt + b",i=4096"))
    hostile(world, scram(lambda n: b"r=" + n + b"x,s=!!!!,i=4096"))
    hostile(world, scram(lambda n: b"r=" + n + b"x" * 2000 + b",s=" + salt + b",i=4096"))
    hostile(world, scram(lambda n: b"m=ext,r=" + n + b"x,s=" + salt + b",i=4096"))
    hostile(world, says(msg("R", struct.pack("!i", 10) + b"\0")), "authentication")
    hostile(world, says(msg("R", struct.pack("!i", 12) + b"v=" + wrong)))
    hostile(world, says(msg("R", struct.pack("!i", 11) + b"r=x")))


@test("upstream: replies that are not due, COPY IN, rows without end, out-of-place TLS")
def hostile_replies(world):
    row = struct.pack("!hi", 1, 1) + b"1"
    for data in (fake.READY, msg("Z", b"X"), msg("D", row), msg("C", cstr("SELECT 1")),
                 msg("1") * 9, msg("G", b"\0\0\0"), msg("W", b"\0\0\0"), b"D\x7f\xff\xff\xff",
                 b"D\0\0\0\1", msg("R", struct.pack("!i", 0)), msg("K", b"\0" * 8),
                 msg("2") + msg("C", cstr("BEGIN")) + msg("1") + msg("2") +
                 msg("G", b"\0\0\0"),
                 msg("2") + msg("C", cstr("BEGIN")) + msg("1") + msg("2") + msg("n") +
                 msg("H", b"\0\0\0") + msg("D", row),
                 msg("2") + msg("C", cstr("BEGIN")) + msg("1") + msg("2") + msg("T", b"\0\5")):
        def script(peer, data=data):
            peer.log_in()
            peer.until("S")
            peer.send(data)
            peer.take(1 << 20)
        hostile(world, script)


@test("P32 upstream: a transaction that is not read-only, or not where it was led")
def lying_transaction(world):
    def not_read_only(peer):
        peer.log_in()
        peer.until("S")
        peer.send(msg("2") + msg("C", cstr("BEGIN")) + msg("2") +
                  msg("D", struct.pack("!hi", 1, 3) + b"off") + msg("C", cstr("SELECT 1")))
        peer.take(1 << 20)
    server = fake.Fake(not_read_only)
    gate = Gate(world.binary, server.port)
    with Raw(gate.port) as c:
        c.ask(query("BEGIN"))
        c.send(query("SELECT 1"))
        check(c.closed(), "a writable transaction was used")
    gate.wait_record("kill by P32", lambda r: r.get("rule") == "P32")
    gate.stop()
    server.stop()

    def stays_open(peer):
        peer.log_in()
        peer.until("S")
        peer.send(msg("2") + msg("C", cstr("BEGIN")) + msg("1") + msg("2") + msg("n") +
                  msg("C", cstr("SELECT 0")) + msg("2") + msg("C", cstr("ROLLBACK")) +
                  msg("Z", b"T"))
        peer.take(1 << 20)
    hostile(world, stays_open)


@test("upstream: FATAL while serving is told, then the next client gets a new connection")
def fatal(world):
    c = Raw(world.gate.port, params={"user": "a", "application_name": "to be killed"})
    world.pg.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                  "application_name = 'to be killed'")
    out = c.until("E")
    check(error_of(out)["S"] == "FATAL", out)
    check(c.closed(), "stayed open")
    serves(world.gate)


@test("upstream: warm connections are used again, clean")
def pool(world):
    def body(gate):
        pids = set()
        for i in range(6):
            with Raw(gate.port) as c:
                (pid,) = rows_of(c.ask(query("SELECT pg_backend_pid()")))
                pids.add(pid[0])
                out = c.ask(parse("SELECT 1", "kept"), bind("", "kept"), execute(), SYNC)
                check(kinds(out) == "12DCZ", out)
                c.ask(query("BEGIN"))
                c.ask(query(f"DECLARE c{i} CURSOR FOR SELECT 1"))
                c.send(msg("X")) if i % 2 else c.ask(query("SELECT nope"))
            wait_for("it is idle again", lambda: world.pg.psql(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND state <> "
                "'idle'").strip() == "0")
        check(len(pids) < 6, f"never reused: {pids}")
    with_gate(world, body)


@test("start-up messages that are wrong are answered with a reason")
def bad_config(world):
    for kw, word in (({"tls": "maybe"}, "tls"), ({"limits": {"clients": 0}}, "limits"),
                     ({"limits": {"clients": 1025}}, "limits"), ({"ip": "example"}, "addresses"),
                     ({"name": "no spaces"}, "name"),
                     ({"tls": "verify-full", "ca_pem": "nonsense"}, "certificate"),
                     ({"tls": "verify-full", "ca_pem": "nonsense", "endpoints": 2},
                      "certificate")):
        gate = Gate(world.binary, world.pg.port, expect="failed", **kw)
        check(word in gate.answer["failed"], gate.answer)
        # Not a signal either: what was not opened yet is not closed.
        check(gate.process.wait(30) == 1, f"status {gate.process.returncode}")
        gate.stop()
    _ = Failure
