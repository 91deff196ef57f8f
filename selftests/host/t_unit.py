# SPDX-License-Identifier: Apache-2.0
"""The unit: restart, stop, kill and upgrade with a session running; credentials; what it refuses."""

import hashlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading

from host import (CANARY, PINS, SLICE, UNIT, answers, check, equal, events, must, pinfold_run, policy,
                  records, run, session, systemctl, unit, until)
from suite import test
import t_start

DROP_IN = f"/etc/systemd/system/{UNIT}.d"
SET_ABI = f"bpftool map update pinned {PINS}/maps/pf_admin key 0 0 0 0 value"


class Siege:
    """Tries in a session without a pause to write what it may not; counts."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["pinfold", "run", "--policy", "host", "--name", "siege", "--", "sh", "-c",
             f"while :; do if (echo x >{CANARY}) 2>/dev/null; then echo LEAK; else echo denied; fi; "
             "done"], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.counts = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.counts[line] = self.counts.get(line, 0) + 1

    def goes_on(self, what):
        goal = self.counts.get(b"denied\n", 0) + 3
        until(lambda: self.counts.get(b"denied\n", 0) >= goal or b"LEAK\n" in self.counts, what)
        equal(self.counts.get(b"LEAK\n", 0), 0, f"writes that got through: {what}")

    def end(self):
        self.process.terminate()
        self.process.wait(120)
        self._reader.join(120)
        equal(set(self.counts), {b"denied\n"}, "what the attacker saw")


def limits_of(session_id):
    found = {}
    for name in ("memory.max", "pids.max", "cpu.max"):
        with open(f"{SLICE}/{session_id}/agent/{name}", encoding="ascii") as f:
            found[name] = f.read().strip()
    return found


@test("unit: restart with sessions running: they go on, denials hold, they are adopted")
def restart(world):
    live = world.live
    session_id, before = live.id(), unit("MainPID")
    about = {k: v for k, v in session("beside").items() if k.startswith("policy")}
    pid = live.ask("echo $$")[1]
    siege = Siege()
    siege.goes_on("before the restart")
    limits = limits_of(session_id)
    adopted = len(events(session_id, "adopted"))
    systemctl("restart", UNIT)
    check(answers(), "the unit is active again, and the daemon does not answer")
    check(unit("MainPID") != before, "it was not restarted")
    equal(len(events(session_id, "adopted")), adopted + 1, "records of the adoption")
    siege.goes_on("after the restart")
    siege.end()
    equal({k: session("beside")[k] for k in about}, about, "what ps says of the policy")
    check(about["policy_installed"], f"twin: the policy is an installed one: {about}")
    equal((live.id(), live.ask("echo $$")[1]), (session_id, pid), "the session")
    systemctl("daemon-reload")
    equal(limits_of(session_id), limits, "limits of the session after restart and daemon-reload")
    equal(limits, {"memory.max": str(2 << 30), "pids.max": "513", "cpu.max": "200000 100000"},
          "limits of the session")
    live.held()


@test("unit: stopped: sessions go on and stay refused, none starts; then it takes them over")
def stop_and_start(world):
    live = world.live
    session_id = live.id()
    adopted = len(events(session_id, "adopted"))
    systemctl("stop", UNIT)
    try:
        live.held()
        r = pinfold_run("host", "true")
        equal(r.returncode, 125, "a session without a daemon")
        check("pinfoldd" in r.stderr and "systemctl start pinfoldd" in r.stderr,
              f"run does not say what to do: {r.stderr!r}")
    finally:
        systemctl("start", UNIT)
    live.held()
    equal(live.id(), session_id, "the session")
    equal(len(events(session_id, "adopted")), adopted + 1, "records of the adoption")


@test("unit: killed: systemd starts it again, sessions are adopted")
def killed(world):
    live = world.live
    session_id, before = live.id(), unit("MainPID")
    adopted = len(events(session_id, "adopted"))
    systemctl("kill", "-s", "KILL", UNIT)
    live.held()
    until(lambda: unit("ActiveState") == "active" and unit("MainPID") not in ("0", before),
          "it is started again")
    until(answers, "it answers")
    equal(len(events(session_id, "adopted")), adopted + 1, "records of the adoption")
    live.held()


@test("unit: the same build installed again: nothing is loaded anew")
def same_build(world):
    live = world.live
    live.held()
    programs = must(["ls", "-i", f"{PINS}/links"])
    t_start.install()
    systemctl("restart", UNIT)
    equal(must(["ls", "-i", f"{PINS}/links"]), programs, "the pins")
    live.held()


class Server:
    """Asks for a password as PostgreSQL does (md5), and notes whether the right one came."""

    def __init__(self, user, password):
        inner = hashlib.md5((password + user).encode()).hexdigest()
        self.salt = os.urandom(4)
        self.want = b"md5" + hashlib.md5(inner.encode() + self.salt).hexdigest().encode() + b"\0"
        self.answers = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                c = self.socket.accept()[0]
            except OSError:
                return
            with c, c.makefile("rb") as f:
                try:
                    f.read(struct.unpack("!I", f.read(4))[0] - 4)
                    c.sendall(b"R" + struct.pack("!II", 12, 5) + self.salt)
                    kind, size = struct.unpack("!cI", f.read(5))
                    self.answers.append((kind, f.read(size - 4)))
                    text = b"SFATAL\0C28000\0Mthat is all\0\0"
                    c.sendall(b"E" + struct.pack("!I", 4 + len(text)) + text)
                except (OSError, struct.error):
                    pass


# In the session: start-up as a client makes it, and what comes.
CLIENT = """
import socket, struct, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 60)
body = struct.pack("!I", 196608) + b"user\\0any\\0database\\0any\\0\\0"
s.sendall(struct.pack("!I", len(body) + 4) + body)
while s.recv(4096): pass
"""


def drop_in(text):
    os.makedirs(DROP_IN, exist_ok=True)
    with open(f"{DROP_IN}/test.conf", "w", encoding="ascii") as f:
        f.write(f"[Service]\n{text}\n")
    systemctl("daemon-reload")
    systemctl("restart", UNIT)


@test("unit: passwords from systemd credentials and from the unit's environment")
def credentials(world):
    world.live.held()
    with open("/etc/pinfold/cred.pw", "w", encoding="ascii") as f:
        os.fchmod(f.fileno(), 0o600)
        f.write("from-a-credential\n")
    servers = {"cred": Server("reader", "from-a-credential"),
               "variable": Server("reader", "from-a-variable")}
    for name, source in (("cred", "systemd: orders-pw"), ("variable", "env: ORDERS_PW")):
        policy(name, f"databases:\n  - name: {name}\n    type: postgres\n"
               f"    address: 127.0.0.1:{servers[name].port}\n    database: d\n    user: reader\n"
               f"    password: {{ {source} }}\n    tls: \"off\"\n")
    for name, word in (("cred", "orders-pw"), ("variable", "ORDERS_PW")):
        r = pinfold_run(name, "true")
        equal(r.returncode, 125, "twin: a session whose password the unit does not have")
        check(word in r.stderr, f"run does not name {word}: {r.stderr!r}")
    drop_in("LoadCredential=orders-pw:/etc/pinfold/cred.pw\nEnvironment=ORDERS_PW=from-a-variable")
    try:
        for name, server in servers.items():
            r = pinfold_run(name, "/usr/bin/python3", "-c", CLIENT, name, str(server.port))
            equal(r.returncode, 0, f"{name}: {r.stderr}")
            check(server.answers, f"{name}: nobody asked the server")
            equal(set(server.answers), {(b"p", server.want)}, f"{name}: the password")
    finally:
        shutil.rmtree(DROP_IN)
        systemctl("daemon-reload")
        systemctl("restart", UNIT)
        for server in servers.values():
            server.socket.close()
    world.live.held()


@test("unit: pins of another ABI are refused, with the way out, and denials hold")
def other_abi(world):
    live = world.live
    session_id = live.id()
    abi = must(["bpftool", "-j", "map", "lookup", "pinned", f"{PINS}/maps/pf_admin", "key", "0",
                "0", "0", "0"])
    check('"0x' in abi, f"the ABI of the pins: {abi}")
    number = next(int(w, 16) for w in abi.split('"') if w.startswith("0x") and w != "0x00")
    # Once, while the pins are of this build's ABI: another one's are not its to open.
    admin = subprocess.Popen(["pinfold", "unlock", "--", "sh"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)

    def set_abi(value):
        admin.stdin.write(f"{SET_ABI} {value} 0 0 0 0 0 0 0; echo $?\n".encode())
        admin.stdin.flush()
        equal(admin.stdout.readline(), b"0\n", "the ABI of the pins, written")

    systemctl("stop", UNIT)
    set_abi(99)
    try:
        r = run(["pinfold", "unlock", "--", "true"])
        equal(r.returncode, 125, "unlock beside another ABI")
        for word in ("ABI 99", PINS, "use the pinfold of the build", "pinfoldd --unload"):
            check(word in r.stderr, f"pinfold unlock does not say {word!r}: {r.stderr!r}")
        r = run(["pinfoldd"])
        equal(r.returncode, 78, "the daemon beside another ABI")
        for word in ("ABI 99", PINS, "end all sessions", "pinfoldd --unload"):
            check(word in r.stderr, f"pinfoldd does not say {word!r}: {r.stderr!r}")
        check(run(["systemctl", "start", UNIT]).returncode != 0, "the unit beside another ABI starts")
        equal((unit("ActiveState"), unit("NRestarts")), ("failed", "0"), "the unit that was refused")
        live.held()
    finally:
        set_abi(number)
        admin.communicate()
        systemctl("start", UNIT)
    live.held()
    equal(live.id(), session_id, "the session")


def other_build(path):
    """The daemon with other programs: a letter of a source line in their debug information."""
    with open(path, "rb") as f:
        data = f.read()
    # Kept by the compiler for the kernel's verifier log; of no effect.
    at = data.find(b"\0\treturn ")
    check(at > 0, "no source line in the BPF object")
    with open(f"{path}.new", "wb") as f:
        os.fchmod(f.fileno(), 0o755)
        f.write(data[:at + 2] + b"RETURN" + data[at + 8:])
    os.rename(f"{path}.new", path)


def hangup_waits(pid):
    """Whether SIGHUP is held back in a process."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        blocked = next(line.split()[1] for line in f if line.startswith("SigBlk:"))
    return int(blocked, 16) >> (signal.SIGHUP - 1) & 1


@test("unit: an upgrade to other programs with sessions running: never without denials")
def upgrade(world):
    live = world.live
    session_id = live.id()
    siege = Siege()
    siege.goes_on("before the upgrade")
    before, old = must(["ls", "-i", f"{PINS}/links"]), unit("MainPID")
    other_build("/usr/local/sbin/pinfoldd")
    try:
        systemctl("restart", "--no-block", UNIT)
        daemon = until(lambda: unit("MainPID") not in ("0", old) and unit("MainPID"), "it starts")
        until(lambda: hangup_waits(daemon), "it loads")
        must(["logrotate", "-f", "/etc/logrotate.d/pinfold"])
        until(lambda: unit("ActiveState") == "active", "it has loaded its programs")
        equal(unit("MainPID"), daemon, "the daemon whose log was rotated while it loaded")
        until(lambda: any(r.get("event") == "log-reopened" for r in records()),
              "the daemon goes on in the new log")
        check(must(["ls", "-i", f"{PINS}/links"]) != before, "the programs are the same")
        siege.goes_on("after the upgrade")
        touch = ["chmod", "700", f"{PINS}/maps"]
        check(run(touch).returncode != 0, "the new programs do not guard")
        must(["pinfold", "unlock", "--", *touch])  # pinfold is of the old build
        siege.end()
        equal(live.id(), session_id, "the session")
        live.held()
        equal(pinfold_run("host", "echo", "new").stdout, "new\n", "a new session")
    except BaseException:
        siege.process.kill()
        raise
