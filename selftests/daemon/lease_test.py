# SPDX-License-Identifier: Apache-2.0
"""What sessions may do while nobody attends to them: pinfoldd hangs, then is dead, longer than the
lease. One outage for all: a lease cannot be shorter than 30 seconds."""

import json
import os
import signal
import time

import product
from load_test import LoadTest, policy, write
from product import BASE, Session, find, records, run, wait_until

LEASE_S = 30
MAPS = "/sys/fs/bpf/pinfold/maps"
WORD = ["pinned", f"{MAPS}/pf_lease"]
FLAGS, STOP_FLAG = 12, 4  # in struct pf_session
FILE = f"{BASE}/lease/file"

# Reads lines: "all" tries everything ("why" is what the session was told), "leave" closes the spare
# connection, another one is a statement to be sent there.
AGENT = """if True:
    import errno, json, os, socket, struct, sys
    here = socket.gethostbyname("orders")
    def answer(s):
        told = b""
        while True:
            head = s.recv(5, socket.MSG_WAITALL)
            if len(head) < 5:
                raise ConnectionResetError(errno.ECONNRESET, "closed")
            size = struct.unpack("!I", head[1:])[0] - 4
            told += head[:1] + (s.recv(size, socket.MSG_WAITALL) if size else b"")
            if head[:1] in b"ZE":
                return told
    def connect():
        s = socket.socket()
        s.connect((here, 5432))
        start = struct.pack("!I", 196608) + b"user\\0x\\0database\\0postgres\\0\\0"
        s.sendall(struct.pack("!I", len(start) + 4) + start)
        answer(s)
        return s
    def send(s, text):
        s.sendall(b"Q" + struct.pack("!I", len(text) + 5) + text + b"\\0")
    def use(s):
        send(s, b"select 40 + 2")
        told = answer(s)
        return "ok" if b"42" in told else told.decode(errors="replace")
    def read(path):
        with open(path) as f:
            return f.read()
    def program():
        pid = os.fork()
        if pid == 0:
            try:
                os.execv("/bin/true", ["true"])
            except OSError as e:
                os._exit(e.errno)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            raise OSError(status, "exec")
    def attempt(fn, *args):
        try:
            return fn(*args)
        except OSError as e:
            return errno.errorcode.get(e.errno, str(e))
    kept, spare = connect(), connect()
    use(kept)
    for line in sys.stdin:
        if line != "all\\n":
            send(spare, line.strip().encode()) if line != "leave\\n" else spare.close()
            print(flush=True)
            continue
        new = attempt(connect)
        told = {"connect": new if isinstance(new, str) else attempt(use, new),
                "use": attempt(use, kept),
                "read": "ok" if attempt(read, sys.argv[1]) == "x\\n" else attempt(read, sys.argv[1]),
                "run": attempt(program) or "ok",
                "why": attempt(read, "/run/pinfold/why.json")}
        print(json.dumps(told), flush=True)
"""

ALL = {"connect": "ok", "use": "ok", "read": "ok", "run": "ok"}
NO_CONNECTIONS = {**ALL, "connect": "EPERM"}
STOP = {"connect": "EPERM", "use": "ok", "read": "EACCES", "run": "EACCES"}


def lease(name, rule=""):
    return policy(name, more=product.DATABASES + rule)


class Lease(LoadTest):

    def setUp(self):
        super().setUp()
        self.endless = product.Endless()
        self.addCleanup(self.endless.close)
        write(FILE, "x\n")
        self.restart("--lease", str(LEASE_S))
        self.addCleanup(self.restart)
        self.addCleanup(lambda: self.daemon.process.send_signal(signal.SIGCONT))
        self.agents, self.ids = {}, {}

    def restart(self, *options):
        self.daemon.stop()
        self.daemon.options = options
        self.daemon.start()

    def begin(self, name, policy_name):
        self.agents[name] = Session("/usr/bin/python3", "-B", "-c", AGENT, FILE, policy=policy_name,
                                    options=("-n", name))
        self.addCleanup(self.end, self.agents[name])
        self.ids[name] = wait_until(lambda: find(name))["id"]

    def told(self, name):
        return json.loads(self.ask(self.agents[name], "all"))

    def expect(self, when, **sessions):
        for name, what in sessions.items():
            told = self.told(name)
            del told["why"]
            self.assertEqual(told, what, f"{when}: {name}")

    @staticmethod
    def over():
        """The word, as everybody may read it, is past."""
        entry, = json.loads(product.checked("bpftool", "-j", "map", "dump", *WORD))
        return time.monotonic_ns() >= entry["formatted"]["value"]["until_ns"]

    def lapses(self, name):
        return [r for r in records()
                if r.get("session") == self.ids[name] and r.get("event") == "unattended"]

    def refusals(self, name, kind):
        return [r for r in records() if r.get("session") == self.ids[name] and
                r.get("reason") == "unattended" and r["kind"] == kind]

    def attended(self, n):
        """All is as it was, and on record; a slow machine may have had an outage of its own."""
        self.expect("attended", none=ALL, allow=ALL, stop=ALL)
        for name, rule in (("none", "no-connections"), ("allow", "allow"), ("stop", "stop")):
            live = find(name)
            self.assertEqual((live["state"], live["unattended"]), ("running", rule))
            lapses = self.lapses(name)
            self.assertGreaterEqual(len(lapses), n)
            self.assertTrue(all(r["rule"] == rule and r["from"] < r["until"] for r in lapses))

    def test_outage(self):
        self.begin("none", lease("lease-none", "violations: { threshold: 2, action: kill }\n"))
        self.begin("allow", lease("lease-allow", "unattended: allow\n"))
        self.begin("stop", lease("lease-late", "unattended: allow\n"))
        self.expect("before", none=ALL, allow=ALL, stop=ALL)
        self.loads(lease("lease-stop", "unattended: stop\n"), "stop")
        number = os.stat(f"/sys/fs/cgroup/pinfold.slice/{self.ids['stop']}").st_ino
        self.daemon.kill()
        self.forget_rule(number)
        self.daemon.start()
        self.attended(0)
        self.assertEqual(find("none")["denied"], 0)
        self.daemon.process.send_signal(signal.SIGSTOP)
        wait_until(self.over)
        self.expect("hung", none=NO_CONNECTIONS, allow=ALL, stop=STOP)
        self.daemon.kill()
        self.expect("dead", none=NO_CONNECTIONS, allow=ALL, stop=STOP)
        self.gates_connect()
        self.daemon.start()
        self.attended(1)
        self.on_record()
        self.hung_and_back()

    @staticmethod
    def forget_rule(number):
        """As a pinfoldd leaves it that dies when it has noted the policy and not told the kernel."""
        key = ["pinned", f"{MAPS}/pf_sessions", "key", "hex",
               *(f"{b:02x}" for b in number.to_bytes(8, "little"))]
        value = json.loads(product.checked("bpftool", "-j", "map", "lookup", *key))["value"]
        value[FLAGS] = hex(int(value[FLAGS], 16) & ~STOP_FLAG)
        product.checked("pinfold", "unlock", "--", "bpftool", "map", "update", *key, "value", "hex",
                        *(b[2:] for b in value))

    def leave(self, name):
        """The agent leaves a statement that does not end, which its gate is to cancel."""
        self.ask(self.agents[name], product.Endless.TEXT)
        wait_until(lambda: self.endless.running() == 1)
        self.ask(self.agents[name], "leave")

    def gates_connect(self):
        """To cancel a statement a gate makes a connection: only that of one policy may."""
        self.leave("allow")
        wait_until(lambda: self.endless.running() == 0)
        self.leave("none")

    def gate_was_refused(self):
        wait_until(lambda: self.refusals("none", "gate"))
        self.endless.terminate()

    def on_record(self):
        for name, hook in (("none", "socket_connect"), ("stop", "file_open")):
            seen = wait_until(lambda name=name: self.refusals(name, "agent"))
            self.assertIn(hook, {r["hook"] for r in seen})
            self.assertIn("pinfoldd was dead, or hung", run("pinfold", "why", name).stdout)
            wait_until(lambda name=name: "pinfoldd was dead" in self.told(name)["why"])
        self.gate_was_refused()
        self.assertEqual(self.refusals("allow", "agent") + self.refusals("allow", "gate"), [])
        self.assertGreater(find("none")["denied"], 2, "more than the violations that end it")
        checks = json.loads(product.checked("pinfold", "doctor", "--json"))["checks"]
        text = next(c["value"] for c in checks if c["name"] == "lease")
        self.assertIn(f"{LEASE_S} s; nobody attended to sessions from", text)

    def hung_and_back(self):
        """The same daemon goes on. An administrator has the time pass at once."""
        n = max(len(self.lapses(name)) for name in self.agents)
        self.daemon.process.send_signal(signal.SIGSTOP)
        try:
            product.checked("pinfold", "unlock", "--", "bpftool", "map", "update", *WORD,
                            "key", *"0000", "value", "1", *"0" * 15)
            self.expect("hung again", none=NO_CONNECTIONS)
        finally:
            self.daemon.process.send_signal(signal.SIGCONT)
        wait_until(lambda: all(self.lapses(name)[n:] for name in self.agents))
        self.attended(2)
