# SPDX-License-Identifier: Apache-2.0
"""Bounds, the boxed parser's crashes, pinfoldd's end."""

import os
import signal
import socket
import struct
import threading
import time

import fake
from harness import DEADLINE, Gate, wait_for
from raw import (SYNC, Closed, Raw, bind, close, cstr, describe, error_of, execute, kinds, msg,
                 parse, query, rows_of, startup)
from suite import check, test


def serves(gate):
    with Raw(gate.port) as c:
        check(rows_of(c.ask(query("SELECT 1"))) == [["1"]], "does not serve")


@test("one row of 64 MiB, and many rows, in bounded memory")
def big_rows(world):
    gate = world.new_gate()
    with Raw(gate.port) as c:
        c.ask(query("SELECT 1"))
        before = gate.rss_kib()
        n = 64 * 1024 * 1024
        c.send(query(f"SELECT repeat('x', {n})"))
        out = c.until("Z")
        check(error_of(out) is None, error_of(out))
        row = [m for m in out if m.kind == "D"][0]
        check(len(row.body) == n + 6, len(row.body))
        c.send(query("SELECT repeat('y', 1000) FROM generate_series(1, 60000)"))
        check(sum(1 for m in c.until("Z") if m.kind == "D") == 60000, "rows")
        c.send(query("COPY (SELECT repeat('z', 1000) FROM generate_series(1, 60000)) TO STDOUT"))
        check(sum(1 for m in c.until("Z") if m.kind == "d") == 60000, "COPY rows")
        grown = gate.rss_kib() - before
        check(grown < 8 * 1024, f"grew by {grown} KiB")
    gate.stop()


@test("a client that does not read stops the server, not the gate")
def dead_reader(world):
    gate = world.new_gate()
    before = gate.rss_kib()
    slow = [Raw(gate.port) for _ in range(4)]
    for c in slow:
        c.send(query("SELECT repeat('y', 1000) FROM generate_series(1, 200000)"))
    waiting = ("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND "
               "usename = 'reader'")
    wait_for("the server waits", lambda: world.pg.psql(waiting).strip() == "4")
    serves(gate)
    grown = gate.rss_kib() - before
    check(grown < 16 * 1024, f"grew by {grown} KiB")
    check(sum(1 for m in slow[0].until("Z") if m.kind == "D") == 200000, "then it reads on")
    for c in slow:
        c.close()
    gate.stop()


@test("a server that does not read stops the client: a long pipeline arrives whole")
def long_pipeline(world):
    n = 3000
    with Raw(world.gate.port) as c:
        one = parse("SELECT $1::int") + bind(values=["7"]) + execute()
        sender = threading.Thread(target=lambda: c.send(one * n, SYNC))
        sender.start()
        out = c.until("Z")
        sender.join()
        check(kinds(out) == "12DC" * n + "Z", len(out))


@test("a batch that asks for more replies than may be owed at a time, several times over")
def many_replies(world):
    n = 5000
    with Raw(world.gate.port) as c:
        out = c.ask(*[parse("SELECT 1")] * n, SYNC)
        check(kinds(out) == "1" * n + "Z", f"{len(out)} replies")


@test("prepared statements: 1024, not 1025; portals: 256, not 257")
def names(world):
    with Raw(world.gate.port) as c:
        for i in range(1024):
            check(kinds(c.ask(parse("SELECT 1", f"s{i}"), SYNC)) == "1Z", i)
        e = error_of(c.ask(parse("SELECT 1", "more"), SYNC))
        check(e["C"] == "53400", e)
        check(kinds(c.ask(bind("", "s1023"), execute(), SYNC)) == "2DCZ", "the last one")
        check(kinds(c.ask(query("DEALLOCATE s5"))) == "CZ", "make room")
        check(kinds(c.ask(parse("SELECT 1", "more"), SYNC)) == "1Z", "room")
        c.ask(query("BEGIN"))
        for i in range(256):
            check(kinds(c.ask(bind(f"p{i}", "s1"), SYNC)) == "2Z", i)
        e = error_of(c.ask(bind("more", "s1"), SYNC))
        check(e["C"] == "53400", e)
        c.ask(query("ROLLBACK"))
        check(kinds(c.ask(query("DEALLOCATE ALL"))) == "CZ", "all gone")
        check(kinds(c.ask(parse("SELECT 1", "s1"), SYNC)) == "1Z", "the name is free")


@test("connections: as many as the limit, not one more, and again when one has gone")
def clients(world):
    gate = world.new_gate(limits={"clients": 3})
    held = [Raw(gate.port) for _ in range(3)]
    with Raw(gate.port, login=False) as c:
        e = error_of(c.until("E"))
        check(e["C"] == "53300", e)
        check(c.closed(), "stayed open")
    held.pop().close()

    def again():
        try:
            with Raw(gate.port, login=False) as c:
                c.send(startup())
                return c.until("ZE")[-1].kind == "Z"
        except Closed:
            return False
    wait_for("room again", again)
    for c in held:
        c.close()
    gate.stop()


@test("the parser is killed: the text is denied or asked again, the next one is classified")
def parser_killed(world):
    gate = world.new_gate()
    with Raw(gate.port) as c:
        for i in range(20):
            check(rows_of(c.ask(query(f"SELECT {i}"))) == [[str(i)]], "before")
            zygote, worker = sorted(gate.children())[:2]
            os.kill(worker, signal.SIGKILL)
            # Whether the kill is seen first or the question sent first: never unclassified.
            out = c.ask(query(f"INSERT INTO orders VALUES ({i + 7000})"))
            check(error_of(out)["M"].startswith("pinfold: denied by rule"), out)
            out = c.ask(query(f"SELECT {i}, {i}"))
            e = error_of(out)
            check(e is None or "BOX" in e["M"], e)
            wait_for("another worker", lambda: len(gate.children()) == 2)
        os.kill(zygote, signal.SIGKILL)
        wait_for("nobody left to parse", lambda: len(gate.children()) < 2)

        def denied():
            e = error_of(c.ask(query(f"SELECT 'unseen {os.urandom(4).hex()}'")))
            return e and "BOX" in e["M"]
        wait_for("without a parser all that is not known is denied", denied)
        check(error_of(c.ask(query("INSERT INTO orders VALUES (1)"))), "a write")
        check(rows_of(c.ask(query("SELECT 3"))) == [["3"]], "what is known still works")
    check(gate.alive(), gate.log())
    check("7" not in world.pg.psql("SELECT id FROM orders WHERE id > 7000"), "written")
    gate.stop()


@test("the parser is silent: denied within its time, others go on")
def parser_silent(world):
    gate = world.new_gate()
    with Raw(gate.port) as c, Raw(gate.port) as other:
        check(rows_of(c.ask(query("SELECT 1"))) == [["1"]], "before")
        worker = sorted(gate.children())[-1]
        os.kill(worker, signal.SIGSTOP)
        c.send(query("SELECT 'held up'"))
        check(rows_of(other.ask(query("SELECT 1"))) == [["1"]], "a known text waits for nobody")
        e = error_of(c.until("Z"))
        check(e["C"] == "54001" and "BOX" in e["M"], e)
        check(rows_of(c.ask(query("SELECT 'held up'"))) == [["held up"]], "a new worker")
    gate.stop()


@test("a worker has one descriptor and no way to make another")
def parser_box(world):
    serves(world.gate)
    worker = sorted(world.gate.children())[-1]
    with open(f"/proc/{worker}/status", encoding="ascii") as f:
        status = dict(l.split(":", 1) for l in f if ":" in l)
    check(status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1", status)
    try:
        check(os.listdir(f"/proc/{worker}/fd") == ["0"], "more than one descriptor")
    except PermissionError:
        pass  # not dumpable: not even root looks without a capability


@test("pinfoldd goes away: the gate serves on")
def daemon_gone(world):
    gate = world.new_gate()
    gate.control.shutdown(2)
    gate.thread.join(10)
    for _ in range(3):
        serves(gate)
    with Raw(gate.port) as c:
        check("P24" in error_of(c.ask(query("DELETE FROM orders")))["M"], "still denied")
    check(gate.alive(), gate.log())
    gate.stop()


@test("many connections at once, each with its own answer")
def crowd(world):
    held = [Raw(world.gate.port) for _ in range(40)]
    for i, c in enumerate(held):
        c.send(query(f"SELECT {i}, {i * 7}"))
    for i, c in enumerate(held):
        check(rows_of(c.until("Z")) == [[str(i), str(i * 7)]], i)
    for c in held:
        c.send(msg("X"))
        c.close()


@test("a client that asks and does not read what the gate itself answers: bounded memory")
def unread_answers(world):
    gate = world.new_gate()
    for ask in (query("x") * 500, close("S", "nope") * 2000):
        with Raw(gate.port) as c:
            before = gate.rss_kib()
            c.sock.settimeout(2)
            sent, answers = 0, 0
            try:
                while sent < 64 * 1024 * 1024:
                    sent += c.sock.send(ask)
            except TimeoutError:
                pass
            check(sent < 64 * 1024 * 1024, "it took all")
            grown = gate.rss_kib() - before
            check(grown < 8 * 1024, f"grew by {grown} KiB")
            # And it goes on where it stood.
            c.sock.settimeout(30)
            for answers in range(2000):
                c.message()
    serves(gate)
    gate.stop()


@test("clients that come and go leave no more logins behind than may be idle")
def churn(world):
    gate = world.new_gate()
    for _ in range(300):
        with Raw(gate.port, login=False) as c:
            c.send(startup())
    serves(gate)
    n = int(world.pg.psql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader'"))
    check(n < 20, f"{n} connections to the server")
    check("refused" not in gate.log(), gate.log())
    gate.stop()


def cancel(gate, c):
    with socket.create_connection(("127.0.0.1", gate.port)) as s:
        s.sendall(struct.pack("!iiII", 16, 80877102, *c.key))
        s.settimeout(DEADLINE)
        check(s.recv(1) == b"", "an answer to a cancel request")


@test("P9 any number of cancel requests is one to the server, until that has arrived")
def cancel_flood(world):
    cancels = []

    def script(peer):
        first = peer.first()
        if first[:4] == fake.CANCEL:
            cancels.append(first)
            peer.take(1)
            return
        peer.welcome()
        peer.until("S")
        busy.set()
        peer.take(1 << 20)
    busy = threading.Event()
    server = fake.Fake(script)
    gate = Gate(world.binary, server.port)
    with Raw(gate.port) as c:
        c.send(query("SELECT 1"))
        check(busy.wait(DEADLINE), "the statement did not come")
        for _ in range(50):
            cancel(gate, c)
        wait_for("one arrives", lambda: cancels)
        check(len(cancels) == 1, f"{len(cancels)} requests")
    gate.stop()
    server.stop()


class Deaf:
    """A server that a request to cancel often finds between two messages: only the fourth has an
    effect. busy(self, peer) is run once a batch of the first client is there."""

    def __init__(self, busy):
        self.busy = busy
        self.first = True
        self.cancels = []
        self.ready, self.cancelled, self.free, self.over = (threading.Event() for _ in range(4))
        self.server = fake.Fake(self.script)
        self.port = self.server.port

    def script(self, peer):
        first = peer.first()
        if first[:4] == fake.CANCEL:
            self.cancels.append(first)
            if len(self.cancels) == 4:
                self.cancelled.set()
                self.free.wait(DEADLINE)
            return
        peer.welcome()
        peer.until("S")
        if self.first:
            self.first = False
            self.ready.set()
            self.busy(self, peer)
            self.over.set()
        while True:
            peer.send(fake.served(b"7"))
            peer.until("S")


def serves_fake(gate):
    """Served by a Deaf server; False when the gate has no room."""
    with Raw(gate.port, login=False) as c:
        c.send(startup())
        out = c.until("EZ")
        if out[-1].kind == "E":
            check(error_of(out)["C"] == "53300", out)
            return False
        return rows_of(c.ask(query("SELECT 1"))) == [["7"]]


@test("P9 a cancel request without effect is sent again; what follows waits for its end")
def cancel_repeated(world):
    def busy(deaf, peer):
        deaf.cancelled.wait(DEADLINE)
        peer.send(fake.error("ERROR", "57014", "canceling statement") + msg("Z", b"E"))
        deaf.early = not peer.silent(0.5)
        deaf.free.set()
        peer.until("S")
        peer.send(msg("2") + msg("C", cstr("ROLLBACK")) + fake.READY)
        peer.until("S")

    deaf = Deaf(busy)
    gate = Gate(world.binary, deaf.port)
    with Raw(gate.port) as c:
        c.send(query("SELECT 1"))
        check(deaf.ready.wait(DEADLINE), "no batch")
        cancel(gate, c)
        e = error_of(c.until("Z"))
        check(e["C"] == "57014", e)
        check(rows_of(c.ask(query("SELECT 1"))) == [["7"]], "the next statement")
        check(not deaf.early, "a statement was sent while a request to cancel was under way")
        check(len(deaf.cancels) == 4, f"{len(deaf.cancels)} requests")
    gate.stop()
    deaf.server.stop()


@test("P9 a server that is left busy is cancelled until it hangs up, and counts until then")
def linger(world):
    def busy(deaf, peer):
        peer.ended()
        deaf.cancelled.wait(DEADLINE)
        deaf.free.wait(DEADLINE)
        raise Closed()

    deaf = Deaf(busy)
    gate = Gate(world.binary, deaf.port, limits={"clients": 1})
    with Raw(gate.port) as c:
        c.send(query("SELECT 1"))
        check(deaf.ready.wait(DEADLINE), "no batch")
    check(deaf.cancelled.wait(DEADLINE), f"{len(deaf.cancels)} requests to cancel")
    check(not serves_fake(gate), "a second connection to the server")
    deaf.free.set()
    wait_for("room again", lambda: serves_fake(gate))
    check(len(deaf.cancels) == 4, f"{len(deaf.cancels)} requests")
    gate.stop()
    deaf.server.stop()


@test("P9 a server that never hangs up, or never stops talking, is left alone at last")
def linger_ends(world):
    def mute(deaf, peer):
        deaf.free.set()
        deaf.done.wait(4 * DEADLINE)
        raise Closed()

    def talk(deaf, peer):
        deaf.free.set()
        while True:
            deaf.sent += 1
            peer.send(b"\0" * 1024 * 1024)

    for busy, what in ((talk, "talks"), (mute, "is silent")):
        deaf = Deaf(busy)
        deaf.done = threading.Event()
        deaf.sent = 0
        gate = Gate(world.binary, deaf.port, limits={"clients": 1})
        with Raw(gate.port) as c:
            c.send(query("SELECT 1"))
            check(deaf.ready.wait(DEADLINE), "no batch")
        wait_for(f"a server that {what}", lambda g=gate: serves_fake(g), 4 * DEADLINE)
        # 64 MiB, and what the sockets between them hold.
        check(deaf.sent < 100, f"{deaf.sent} MiB were taken")
        # One that is still under way when the next is due takes its place.
        check(busy is talk or 4 <= len(deaf.cancels) <= 8, f"{len(deaf.cancels)} requests")
        deaf.done.set()
        gate.stop()
        deaf.server.stop()


@test("the gate's end takes the statements that run along, with pinfoldd there or gone")
def end_cancels(world):
    running = ("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE "
               "'%99998) b' AND pid <> pg_backend_pid()")
    for alone in (False, True):
        gate = world.new_gate()
        with Raw(gate.port) as one, Raw(gate.port) as two, Raw(gate.port) as idle:
            for c in (one, two):
                c.send(query("SELECT count(*) FROM generate_series(1, 100000) a, "
                             "generate_series(1, 99998) b"))
            idle.ask(query("SELECT 1"))
            wait_for("they run", lambda: world.pg.psql(running).strip() == "2")
            if alone:
                gate.control.shutdown(socket.SHUT_RDWR)
            check(gate.stop() == 0, "the gate did not end cleanly")
            check(all(c.closed() for c in (one, two, idle)), "a client is still served")
        wait_for("they were cancelled", lambda: world.pg.psql(running).strip() == "0")


def seconds_to_end(binary, again):
    """From SIGTERM to the end of a gate whose server never hangs up."""
    def busy(deaf, peer):
        deaf.over.wait(DEADLINE)
        raise Closed()

    deaf = Deaf(busy)
    deaf.free.set()
    gate = Gate(binary, deaf.port)
    with Raw(gate.port) as c:
        c.send(query("SELECT 1"))
        check(deaf.ready.wait(DEADLINE), "no batch")
        start = time.monotonic()
        gate.process.send_signal(signal.SIGTERM)
        wait_for("a request to cancel", lambda: deaf.cancels)
        if again:
            gate.process.send_signal(signal.SIGTERM)
        check(gate.process.wait(DEADLINE) == 0, "the gate did not end cleanly")
        took = time.monotonic() - start
    gate.stop()
    deaf.over.set()
    deaf.server.stop()
    return took, len(deaf.cancels)


@test("the gate's end: a server that never hangs up has a second, a second SIGTERM ends that")
def end_bounded(world):
    took, cancels = seconds_to_end(world.binary, False)
    check(took > 0.9 and cancels >= 3, f"{took} s, {cancels} requests to cancel")
    # A busy machine can make any one of them late.
    tries = [seconds_to_end(world.binary, True)[0] for _ in range(5)]
    check(min(tries) < 0.9, f"{tries} s")


@test("records: a statement whose client leaves, or is killed, before its end; errors of Parse")
def unfinished(world):
    gate = world.new_gate()

    def record(text, error):
        (r,) = gate.wait_record(text, lambda r: r.get("text", "") == text)
        check((r["verdict"], r.get("error")) == ("allow", error), r)
    text = "SELECT generate_series(1, 100000000)"
    with Raw(gate.port) as c:
        c.send(query(text))
        check(c.until("D")[-1].kind == "D", "a row")
    record(text, "08006")
    with Raw(gate.port) as c:
        c.send(parse("SELECT 11"), bind(), execute(), msg("H"))
        c.until("C")
        c.send(parse("SELECT 12"), bind(), execute(), b"!" + b"\0\0\0\4")
        check(c.closed(), "an unknown message")
    record("SELECT 11", None)
    record("SELECT 12", "08006")
    with Raw(gate.port) as c:
        c.ask(parse("SELECT 13", "s"), SYNC)
        out = c.ask(bind("p", "s"), parse("SELECT nope13"), execute("p"), SYNC)
        check(kinds(out) == "2EZ", out)
    record("SELECT nope13", "42703")
    check(not [r for r in gate.records if r.get("text") == "SELECT 13" and
               r.get("executed", True)], "it did not run")
    gate.stop()


@test("records: a statement that is parsed or bound and not executed leaves one, and says so")
def parsed_only(world):
    gate = world.new_gate()

    def records(last):
        """Of each text: whether it was executed, up to the statement that ends the batch."""
        gate.wait_record(last, lambda r: r.get("text", "") == last)
        out = {}
        for r in gate.records:
            if r["type"] == "statement":
                check(r["verdict"] == "allow" or r["text"].startswith("DELETE"), r)
                out.setdefault(r["text"], []).append(r.get("executed", True))
        return out

    with Raw(gate.port) as c:
        c.ask(parse("SELECT 1", "one"), SYNC)
        c.ask(parse("SELECT 2", "two"), parse("SELECT 3", "three"), describe("S", "two"), SYNC)
        c.ask(parse("DELETE FROM orders", "x"), SYNC)
        c.ask(bind("", "one"), describe("P"), SYNC)
        c.ask(bind("", "one"), execute(), SYNC)
        c.ask(parse("SELECT 4"), bind(), describe("P"), execute(), SYNC)
        c.ask(parse("SELECT 5"), bind(), execute(), parse("SELECT 6"), bind(), execute(), SYNC)
        c.ask(parse("SELECT 7"), bind(), query("SELECT 8"))
        c.ask(query("SELECT 9"))
        check(records("SELECT 9") == {
            "SELECT 1": [False, False, True], "SELECT 2": [False], "SELECT 3": [False],
            "DELETE FROM orders": [True], "SELECT 4": [True], "SELECT 5": [True],
            "SELECT 6": [True], "SELECT 7": [False], "SELECT 8": [True], "SELECT 9": [True],
        }, records("SELECT 9"))
        c.send(parse("SELECT 10"), msg("H"))
        c.until("1")
    check(records("SELECT 10")["SELECT 10"] == [False], "the client left")
    gate.stop()
