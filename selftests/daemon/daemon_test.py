#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""pinfoldd under its users' hands: what a session is told about its denials, and what survives
kill -9 of the daemon. Run by run.sh, in a virtual machine.

usage: daemon_test.py [TEST...]      (Why.test_inside)
"""

import fcntl
import grp
import hashlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import unittest

import product
from lease_test import Lease  # pylint: disable=unused-import
from load_test import (Load, LoadGap, LoadMoves, LoadTest,  # pylint: disable=unused-import
                       LoadTrust)
from product import BASE, Daemon, Session, find, records, run, wait_until

WHY = "/run/pinfold/why.json"
DAEMON = Daemon()


def of(session, kind):
    return [r for r in records() if r.get("session") == session and r["type"] == kind]


class Why(unittest.TestCase):
    """The file that `pinfold why` reads inside a session."""

    def test_inside(self):
        other = Session("sh", "-c", "echo x >/etc/pf-other; echo; read x", options=("-n", "other"))
        other.line()
        script = ("pinfold why; echo x >/etc/pf-mine; pinfold why --json; read x;"
                  "pinfold why --json; cat /usr/bin/true >/dev/null")
        s = Session("sh", "-c", script, user=True)
        self.assertEqual(s.line(), "nothing was denied")
        s.line()
        wait_until(lambda: self.outside_has("pf-mine"))
        s.say("")
        status, out, err = s.end()
        self.assertEqual(status, 0, err)
        told = json.loads(out.splitlines()[-1])
        entry = next(d for d in told["denials"] if d["object"] == "pf-mine")
        self.assertTrue(entry["reason"] and entry["advice"] and entry["what"] and entry["time"])
        self.assertNotIn("pf-other", out)
        other.say("")
        other.end()

    @staticmethod
    def outside_has(name):
        live = next(s for s in product.sessions() if s["user"] == product.USER)
        return any(d["object"] == name for d in json.loads(
            product.checked("pinfold", "why", "--json", live["id"]))["denials"])

    def test_rule_is_named(self):
        product.policy("ruled", write=[f"{BASE}/mine"])
        os.makedirs(f"{BASE}/mine", exist_ok=True)
        s = Session("sh", "-c", f"mv {BASE}/mine {BASE}/yours; echo; read x; cat {WHY}",
                    policy="ruled", options=("-n", "ruled"))
        s.line()
        wait_until(lambda: find("ruled")["denied"] > 0)
        wait_until(lambda: "mine" in run("pinfold", "why", "ruled").stdout)
        self.assertIn(f"rule: {BASE}/mine", run("pinfold", "why", "ruled").stdout)
        s.say("")
        self.assertIn(f'"rule":"{BASE}/mine"', s.end()[1])

    def test_rules_are_told_apart(self):
        """Two files of one name, denied by different rules, are two denials."""
        places = [f"{BASE}/apart/{name}" for name in "ab"]
        for place in places:
            os.makedirs(place, exist_ok=True)
            with open(f"{place}/file", "w", encoding="ascii") as f:
                f.write("x")
        product.policy("apart", f"  deny: [ {', '.join(places)} ]\n")
        s = Session("sh", "-c", f"cat {BASE}/apart/a/file; cat {BASE}/apart/b/file; "
                    f"cat {BASE}/apart/b/file; echo; read x", policy="apart",
                    options=("-n", "apart"))
        s.line()

        def told():
            text = product.checked("pinfold", "why", "--json", "apart")
            return {d["rule"]: d["count"] for d in json.loads(text)["denials"]
                    if d["object"] == "file"}
        wait_until(lambda: sum(told().values()) == 3)
        self.assertEqual(told(), {places[0]: 1, places[1]: 2})
        s.say("")
        s.end()

    def test_nobody_writes_it(self):
        """Not even root in the session; the same works in the session's /tmp, and outside."""
        tries = ("echo x >F", "rm F", "mv F G", "mv T F", "ln -sf /etc/passwd F", "chmod 666 F",
                 "touch D/new", "mkdir D/sub", "mv D E", "truncate -s 0 F", "rm -r D")
        for where, outside in ((f"{BASE}/twin", True), ("/tmp/twin", False),
                               ("/run/pinfold", False)):
            script = ""
            for t in tries:
                if where != "/run/pinfold":
                    script += f"rm -rf {where}*; mkdir {where}; echo 0 >{where}/why.json; "
                words = {"F": f"{where}/why.json", "G": f"{where}/g", "D": where,
                         "E": f"{where}.moved", "T": "/tmp/pf-other"}
                command = " ".join(
                    words.get(w, words[w[0]] + w[1:] if w[0] in words else w) if w[0] != ">"
                    else ">" + words[w[1:]] for w in t.split())
                script += f"echo x >/tmp/pf-other; ({command}) >/dev/null; echo $?; "
            if outside:
                out = run("sh", "-c", script).stdout
            else:
                out = Session("sh", "-c", script + f"cat {WHY}").end()[1]
                json.loads(out.splitlines()[-1])
            with self.subTest(where):
                worked = [line == "0" for line in out.splitlines()[:len(tries)]]
                self.assertEqual(worked, [where != "/run/pinfold"] * len(tries))

    def test_bounded(self):
        """Many different denials with long names: the newest stay, a message takes them."""
        name = "n" * 200
        script = (f"for i in $(seq 300); do cat /etc/pinfold-$i-{name} >/etc/$i-{name}; done;"
                  "echo; read x; cat " + WHY)
        s = Session("sh", "-c", script, options=("-n", "many"))
        s.line()
        wait_until(lambda: find("many")["denied"] >= 300)
        newest = wait_until(lambda: [d for d in json.loads(product.checked(
            "pinfold", "why", "--json", "many"))["denials"] if d["object"].startswith("300-")])
        self.assertTrue(newest)
        wait_until(lambda: b"300-nnn" in self.file_of("many"))
        s.say("")
        text = s.end()[1].strip("\n")
        self.assertLess(len(text), 65536)
        self.assertLessEqual(len(json.loads(text)["denials"]), 64)

    @staticmethod
    def file_of(name):
        with open(f"/proc/{find(name)['pid']}/root{WHY}", "rb") as f:
            return f.read()


class Classify(unittest.TestCase):
    """The boxed parser, started by the session itself."""

    def test_inside(self):
        script = ("printf 'SELECT 1\\nDROP TABLE t\\n' | pinfold classify --type postgres;"
                  "pinfold why")
        s = Session("sh", "-c", script, user=True)
        status, out, err = s.end()
        self.assertEqual((status, err), (0, ""), out)
        *verdicts, why = out.splitlines()
        self.assertEqual([json.loads(v)["rule"] for v in verdicts], ["", "P24"])
        self.assertEqual(why, "nothing was denied")


class Adoption(unittest.TestCase):
    """kill -9 of pinfoldd: the next one goes on where it was."""

    def adopt(self):
        DAEMON.kill()
        DAEMON.start()

    def test_denials(self):
        """A flood, and the daemon killed in it: each record once, and all accounted for."""
        script = "import os\nfor i in range(6000):\n  try: open('/etc/pf-%d' % i, 'w')\n" \
                 "  except OSError: pass\nprint(flush=True)\ninput()"
        s = Session("/usr/bin/python3", "-c", script, options=("-n", "flood"))
        session = wait_until(lambda: find("flood"))["id"]
        for n in (50, 500, 1500):
            wait_until(lambda n=n: len(of(session, "denial")) > n)
            self.adopt()
        s.line()
        before = find("flood")
        self.adopt()
        after = find("flood")
        self.assertEqual(after["denied"], before["denied"])
        self.assertGreaterEqual(after["denied"], 6000)
        self.assertIn("pf-5999", run("pinfold", "why", "flood").stdout)
        s.say("")
        s.end()
        end = product.ended(session)
        numbers = [r["kseq"] for r in records()
                   if r.get("session") == session and "kseq" in r]
        self.assertEqual(len(numbers), len(set(numbers)), "a record is there twice")
        self.assertEqual(len(numbers) + end["merged"] + end["lost"], end["events"])
        self.assertEqual(len(of(session, "denial")) + end["merged"] + end["lost"], end["denied"])

    def test_why_names_the_rule(self):
        product.policy("kept", write=[f"{BASE}/kept"])
        os.makedirs(f"{BASE}/kept", exist_ok=True)
        s = Session("sh", "-c", f"read x; mv {BASE}/kept {BASE}/yours; echo; read x; cat {WHY}",
                    policy="kept", options=("-n", "kept"))
        wait_until(lambda: find("kept") and find("kept")["state"] == "running")
        self.adopt()
        s.say("")
        s.line()
        wait_until(lambda: f"rule: {BASE}/kept" in run("pinfold", "why", "kept").stdout)
        self.adopt()
        self.assertIn(f"rule: {BASE}/kept", run("pinfold", "why", "kept").stdout)
        s.say("")
        self.assertIn(f'"rule":"{BASE}/kept"', s.end()[1])

    def test_statements(self):
        product.postgres()
        with open(f"{BASE}/many.sql", "w", encoding="ascii") as f:
            for i in range(600):
                f.write(f"select {i};\n" if i % 3 else f"delete from t where a = {i};\n")
        s = Session("sh", "-c", f"psql -qX -h orders -d postgres -f {BASE}/many.sql >/dev/null 2>&1;"
                    "echo; read x", policy="db", options=("-n", "sql"))
        session = wait_until(lambda: find("sql"))["id"]
        for n in (30, 100, 250):
            wait_until(lambda n=n: len(of(session, "statement")) > n)
            self.adopt()
        s.line()
        wait_until(lambda: sum(find("sql")["statements"].values()) + self.lost(session) >= 600)
        before = find("sql")["statements"]
        self.adopt()
        self.assertEqual(find("sql")["statements"], before)
        self.assertIn("delete from t", run("pinfold", "why", "sql").stdout)
        s.say("")
        s.end()
        end = product.ended(session)
        verdicts = [r["verdict"] for r in of(session, "statement") if r.get("executed", True)]
        self.assertEqual((end["statements_allowed"], end["statements_denied"]),
                         (verdicts.count("allow"), len(verdicts) - verdicts.count("allow")))
        numbers = [r["gseq"] for r in records() if r.get("session") == session and "gseq" in r]
        self.assertEqual(len(numbers), len(set(numbers)), "a record is there twice")
        self.assertEqual(len(numbers) + self.lost(session), max(numbers))

    @staticmethod
    def lost(session):
        return sum(r["count"] for r in of(session, "loss"))


class End(unittest.TestCase):
    """What a session has running on a server ends with it."""

    @classmethod
    def setUpClass(cls):
        cls.endless = product.Endless()

    @classmethod
    def tearDownClass(cls):
        cls.endless.close()

    def running(self):
        return self.endless.running()

    def busy(self, name, policy="db", script="read x"):
        """A session with a statement that does not end; its identifier, too."""
        sql = f"psql -qX -h orders -d postgres -c '{product.Endless.TEXT}' <&-"
        s = Session("sh", "-c", f"{sql} & {script}", policy=policy, options=("-n", name))
        wait_until(lambda: self.running() == 1)
        return s, find(name)["id"]

    @staticmethod
    def cgroup(session, file):
        return f"/sys/fs/cgroup/pinfold.slice/{session}/{file}"

    def write(self, session, file):
        with open(self.cgroup(session, file), "w", encoding="ascii") as f:
            f.write("1")

    def populated(self, session, side):
        try:
            with open(self.cgroup(session, f"{side}/cgroup.events"), encoding="ascii") as f:
                return "populated 1" in f.read()
        except FileNotFoundError:
            return None

    def assert_gone(self, s, session):
        s.end()
        end = product.ended(session)
        self.assertFalse(os.path.exists(self.cgroup(session, "")))
        return end

    def statement_on_its_own(self):
        """Nobody is there to cancel it: it goes on. Ended for the next test."""
        self.assertEqual(self.running(), 1)
        self.endless.terminate()
        wait_until(lambda: self.running() == 0)

    def test_statement(self):
        s, session = self.busy("busy")
        product.checked("pinfold", "kill", "busy")
        self.assertEqual(self.assert_gone(s, session)["statements_allowed"], 1)
        wait_until(lambda: self.running() == 0)

    def test_quarantined(self):
        """The agent's side is frozen, the gate is not."""
        product.policy("frozen", f"{product.DATABASES}"
                       "violations: { threshold: 3, action: freeze }\n")
        s, session = self.busy("frozen", "frozen", "read x; cat /etc/shadow /etc/shadow "
                               "/etc/shadow /etc/shadow; read x")
        s.say("")
        wait_until(lambda: find("frozen")["state"] == "quarantined")
        self.assertEqual(self.running(), 1)
        product.checked("pinfold", "kill", "frozen")
        self.assert_gone(s, session)
        wait_until(lambda: self.running() == 0)

    def test_gate_killed(self):
        """The baseline: nobody else would have ended it. And no grace for what is not there."""
        s, session = self.busy("lost")
        DAEMON.process.send_signal(signal.SIGSTOP)  # or a new gate is there at once
        self.write(session, "gate/cgroup.kill")
        wait_until(lambda: self.populated(session, "gate") is False)
        DAEMON.process.send_signal(signal.SIGCONT)
        product.checked("pinfold", "kill", "lost")
        self.assert_gone(s, session)
        self.statement_on_its_own()

    def test_gate_hangs(self):
        """The agent goes at once, such a gate after the grace."""
        for name, how in (("all-hung", "cgroup.freeze"), ("gate-hung", "gate/cgroup.freeze")):
            s, session = self.busy(name)
            self.write(session, how)
            kill = subprocess.Popen(["pinfold", "kill", session])
            wait_until(lambda: not self.populated(session, "agent"))
            self.assertTrue(self.populated(session, "gate"), "no grace")
            self.assertEqual(kill.wait(), 0)
            self.assert_gone(s, session)
            self.statement_on_its_own()

    def test_daemon_killed_in_between(self):
        s, session = self.busy("between")
        self.write(session, "gate/cgroup.freeze")
        kill = subprocess.Popen(["pinfold", "kill", session], stderr=subprocess.DEVNULL)
        wait_until(lambda: not self.populated(session, "agent"))
        DAEMON.kill()
        kill.wait()
        self.assertTrue(self.populated(session, "gate"), "it ended before the daemon did")
        DAEMON.start()
        self.assert_gone(s, session)
        self.statement_on_its_own()

    def test_no_daemon(self):
        """Its agent ends while there is no daemon: the gate ends what that had running."""
        s, session = self.busy("alone")
        pid = find("alone")["pid"]
        DAEMON.kill()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.running() == 0)
        self.assertTrue(self.populated(session, "gate"))
        DAEMON.start()
        self.assert_gone(s, session)

    def test_moved_to_another_cgroup(self):
        """Nothing is left, wherever root has moved it."""
        top = product.checked("findmnt", "-t", "cgroup2", "-no", "TARGET").split()[0]
        other = f"{top}/pf-elsewhere"
        os.makedirs(other, exist_ok=True)
        s = Session("sh", "-c", "sleep 1000 & echo; wait", options=("-n", "moved"))
        s.line()
        live = find("moved")
        with open(f"{top}/pinfold.slice/{live['id']}/agent/cgroup.procs", encoding="ascii") as f:
            pids = f.read().split()
        self.assertGreater(len(pids), 2)
        for pid in pids:
            with open(f"{other}/cgroup.procs", "w", encoding="ascii") as f:
                f.write(pid)
        product.checked("pinfold", "kill", "moved")
        wait_until(lambda: find("moved")["state"] == "ended")
        s.end()
        self.assertEqual([p for p in pids if os.path.exists(f"/proc/{p}")], [])
        os.rmdir(other)


class Panic(unittest.TestCase):
    """`pinfold panic`: no process is left, whoever is dead."""

    REASON = "all sessions were stopped (pinfold panic)"

    def make(self):
        """One that is busy, one with a stopped process and a gate, one frozen: their ids."""
        product.postgres()
        busy = Session("sh", "-c", "echo; while :; do :; done", options=("-n", "loop"), user=True)
        busy.line()
        stopped = Session("sh", "-c", "sleep 1000 & kill -STOP $!; echo; read x", policy="db",
                          options=("-n", "stopped"))
        stopped.line()
        frozen = Session("sh", "-c", "echo; read x", options=("-n", "ice"))
        frozen.line()
        live = {s.get("name"): s["id"] for s in product.sessions()}
        ids = [live[n] for n in ("loop", "stopped", "ice")]
        with open(self.cgroup(f"{ids[2]}/cgroup.freeze"), "w", encoding="ascii") as f:
            f.write("1")
        wait_until(lambda: self.event(ids[2], "frozen 1"))
        return [busy, stopped, frozen], ids

    @staticmethod
    def cgroup(path):
        return f"/sys/fs/cgroup/pinfold.slice/{path}"

    def event(self, path, text):
        with open(self.cgroup(f"{path}/cgroup.events"), encoding="ascii") as f:
            return text in f.read()

    @staticmethod
    def processes():
        """Those that live: a daemon that hangs does not collect its dead."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                    name, state = f.read().split("(", 1)[1].rsplit(")", 1)
                    found += [pid] if name in ("pinfold-gate", "pinfold-init") and \
                        state.split()[0] != "Z" else []
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def panic(self, ids):
        self.assertTrue(self.processes())
        told = json.loads(product.checked("pinfold", "panic", "--json"))["sessions"]
        self.assertFalse(self.event("", "populated 1"))
        self.assertEqual(self.processes(), [])
        mine = {s["session"]: s for s in told}
        self.assertEqual(set(mine), set(ids))
        for i, name in zip(ids, ("loop", "stopped", "ice")):
            self.assertEqual((mine[i]["name"], mine[i]["left"]), (name, 0))
        self.assertGreaterEqual(mine[ids[0]]["processes"], 2)
        self.assertGreaterEqual(mine[ids[1]]["processes"], 5, "a gate and its parser, too")
        self.assertNotEqual(mine[ids[0]]["uid"], 0)
        self.assertEqual(mine[ids[1]]["uid"], 0)

    def assert_on_record(self, sessions, ids):
        for s, i in zip(sessions, ids):
            s.end()
            self.assertEqual(product.ended(i)["reason"], self.REASON)
            wait_until(lambda i=i: not os.path.exists(self.cgroup(i)))

    def test_daemon_alive(self):
        sessions, ids = self.make()
        self.panic(ids)
        self.assert_on_record(sessions, ids)
        self.assertEqual(Session("true").end()[0], 0, "sessions can be made again")

    def test_daemon_hangs(self):
        sessions, ids = self.make()
        DAEMON.process.send_signal(signal.SIGSTOP)
        try:
            self.panic(ids)
        finally:
            DAEMON.process.send_signal(signal.SIGCONT)
        self.assert_on_record(sessions, ids)

    def test_all_dead(self):
        """The daemon and the gates killed; then there is nobody, and it says so."""
        sessions, ids = self.make()
        DAEMON.kill()
        with open(self.cgroup(f"{ids[1]}/gate/cgroup.procs"), encoding="ascii") as f:
            gate = [int(line) for line in f]
        os.kill(gate[0], signal.SIGKILL)
        told = json.loads(product.checked("pinfold", "panic", "--json"))["sessions"]
        self.assertEqual({s["session"] for s in told}, set(ids))
        self.assertFalse(self.event("", "populated 1"))
        self.assertEqual(self.processes(), [])
        self.assertEqual(product.checked("pinfold", "panic", "--json"), '{"sessions":[]}\n')
        DAEMON.start()
        self.assert_on_record(sessions, ids)

    def test_while_sessions_start(self):
        """It ends when one look finds nobody; what was born in between went, too."""
        script = "for i in $(seq 8); do pinfold run --policy free -- sleep 1000; done"
        starts = [subprocess.Popen(["sh", "-c", script], stdin=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, cwd=BASE) for _ in range(2)]
        wait_until(product.sessions)
        while any(p.poll() is None for p in starts):
            product.checked("pinfold", "panic")
        product.checked("pinfold", "panic")
        self.assertEqual(self.processes(), [])
        wait_until(lambda: not product.sessions())
        # Those that had started; the rest died during the start, which is on record as that.
        ends = [r for r in records() if r.get("event") == "ended"]
        self.assertTrue(any(r["reason"] == self.REASON for r in ends))

    def test_not_for_everybody(self):
        """Neither for another user, nor for uid 0 in a session: both leave it as it is."""
        s = Session("sh", "-c", "pinfold panic >&2; echo $?; read x", options=("-n", "calm"))
        self.assertEqual(s.line(), "1")
        r = run("pinfold", "panic", preexec_fn=product.as_user())
        self.assertEqual((r.returncode, r.stdout), (1, ""))
        self.assertEqual(find("calm")["state"], "running")
        s.say("")
        self.assertEqual(s.end()[0], 0)


class Policy(unittest.TestCase):
    """Which policy a session has, whatever it calls itself; and where its text may come from."""

    OWN = "pinfold: 1\nname: free\nfiles: { read: [ / ] }\n"

    def own(self, text=OWN):
        path = f"{BASE}/own.yaml"
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(path, 0o644)
        return path

    def show(self, name, policy, user):
        s = Session("sh", "-c", "read x", policy=policy, user=user, options=("-n", name))
        wait_until(lambda: find(name) and find(name)["state"] == "running")
        live = find(name)
        table = run("pinfold", "ps").stdout
        s.say("")
        s.end()
        line = next(x for x in table.splitlines() if name in x)
        started = next(r for r in of(live["id"], "session") if r["event"] == "started")
        keys = ("policy", "policy_file", "policy_installed", "policy_trusted", "policy_sha256")
        self.assertEqual([live[k] for k in keys], [started[k] for k in keys])
        return [live[k] for k in keys] + ["file:free" in line]

    def test_told_apart(self):
        path = self.own()
        own = hashlib.sha256(self.OWN.encode()).hexdigest()
        with open(f"{product.POLICIES}/free.yaml", "rb") as f:
            real = hashlib.sha256(f.read()).hexdigest()
        installed = f"{product.POLICIES}/free.yaml"
        self.assertEqual(self.show("p1", "free", True),
                         ["free", installed, True, True, real, False])
        self.assertEqual(self.show("p2", path, True), ["free", path, False, False, own, True])
        self.assertEqual(self.show("p3", path, False), ["free", path, False, True, own, True])

    def test_text_in_sealed_memory_only(self):
        """By the CLI any file that the caller may read; by hand nothing but a sealed memfd."""
        path = self.own()
        sealed = os.memfd_create("policy", os.MFD_ALLOW_SEALING)
        os.write(sealed, self.OWN.encode())
        for seals, text in ((0, "sealed"), (0xf, None)):
            fcntl.fcntl(sealed, fcntl.F_ADD_SEALS, seals)
            self.assert_answer(self.ask(sealed), text)
        for other in (path, "/proc/self/environ", "/dev/zero", "/proc/version"):
            fd = os.open(other, os.O_RDONLY)
            self.assert_answer(self.ask(fd), "sealed")
            os.close(fd)
        big = os.memfd_create("policy", os.MFD_ALLOW_SEALING)
        os.truncate(big, 256 * 1024 + 1)
        fcntl.fcntl(big, fcntl.F_ADD_SEALS, 0xf)
        self.assert_answer(self.ask(big), "too long")
        nul = os.memfd_create("policy", os.MFD_ALLOW_SEALING)
        os.write(nul, self.OWN.encode() + b"\0more")
        fcntl.fcntl(nul, fcntl.F_ADD_SEALS, 0xf)
        self.assert_answer(self.ask(nul), "NUL")

    def assert_answer(self, answer, text):
        if text:
            self.assertIn(text, answer["error"]["message"])
        else:
            self.assertTrue(answer["ok"], answer)

    @staticmethod
    def ask(policy):
        """The answer to "run" with this descriptor as its policy."""
        ctl = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ctl.settimeout(product.SECONDS)
        ctl.connect("/run/pinfold/ctl.sock")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with open("/dev/null", "r+b") as null:
            n = null.fileno()
            socket.send_fds(ctl, [json.dumps({"v": 1, "cmd": "run", "args": {
                "policy_file": "/x", "argv": ["true"], "env": [], "cwd": "/",
                "umask": 18}}).encode()], [n, n, n, theirs.fileno(), policy])
        answer = json.loads(ctl.recv(65536))
        for s in (ctl, ours, theirs):
            s.close()
        return answer

    def test_password_file(self):
        """No session of a policy reads the password that it names, not even as root."""
        lone, kept = f"{BASE}/orders.pw", f"{BASE}/beside.pw"
        for path in (lone, kept):
            with open(path, "w", encoding="ascii") as f:
                f.write("secret\n")
            os.chmod(path, 0o600)
        product.policy("named", "databases:\n  - { name: orders, type: postgres, tls: off, "
                       "address: '192.0.2.10:5432', database: d, user: u, "
                       f"password: {{ file: {lone} }} }}\n")
        self.assertEqual(product.checked("cat", lone), "secret\n")
        s = Session("sh", "-c", f"cat {kept}; cat {lone}; read x; cat {lone}", policy="named")
        self.assertEqual(s.line(), "secret")
        os.rename(kept, lone)
        s.say("")
        status, out, err = s.end()
        self.assertEqual((status, out), (1, ""), err)
        self.assertEqual(err.count("Permission denied"), 2, err)

    def test_name_without_address(self):
        """A start that fails lets go of the caller's pipes: who reads their other end sees it."""
        product.policy("nowhere", "databases:\n  - { name: orders, type: postgres, tls: off, "
                       "address: 'orders.invalid:5432', database: d, user: u }\n")
        status, out, err = Session("true", policy="nowhere").end()
        self.assertEqual((status, out), (125, ""))
        self.assertIn("orders.invalid", err)

    def test_bound_below_tmp(self):
        """What a policy shows below /tmp leaves the session's own /tmp as it is."""
        os.makedirs("/tmp/pf-bound", exist_ok=True)
        product.policy("bound", write=["/tmp/pf-bound"])
        s = Session("sh", "-c", "echo 1 >/tmp/pf-own && echo 2 >/tmp/pf-bound/a && echo done",
                    policy="bound")
        self.assertEqual(s.end()[1], "done\n")
        self.assertTrue(os.path.exists("/tmp/pf-bound/a"))
        self.assertFalse(os.path.exists("/tmp/pf-own"))


class Slice(unittest.TestCase):
    """No session starts where the programs are not attached."""

    def test_made_anew(self):
        top = product.checked("findmnt", "-t", "cgroup2", "-no", "TARGET").split()[0]
        self.assertEqual(Session("true").end()[0], 0)
        with self.assertRaises(PermissionError):
            os.rmdir(f"{top}/pinfold.slice")
        product.checked("pinfold", "unlock", "--", "rmdir", f"{top}/pinfold.slice")
        for made in (False, True):
            if made:
                os.mkdir(f"{top}/pinfold.slice")
            status, _, err = Session("true").end()
            self.assertEqual(status, 125)
            self.assertIn("restart pinfoldd", err)
        DAEMON.stop()
        DAEMON.start()
        # the kernel lets go of the old programs by and by, and until then no session starts
        wait_until(lambda: Session("true").end()[0] == 0)


class Unlock(unittest.TestCase):
    """What is Pinfold's, in the hands of another root process and of an administrator."""

    PINS = "/sys/fs/bpf/pinfold"
    KEY = ["pinned", f"{PINS}/maps/pf_marks", "key", "hex"] + ["fe"] * 16
    CHANGE = ["bpftool", "map", "update", *KEY, "value", "hex"] + ["00"] * 16
    UNDO = ["bpftool", "map", "delete", *KEY]
    LOOK = ["bpftool", "map", "lookup", *KEY]

    def assert_refused(self, command):
        done = run(*command)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("Operation not permitted", done.stderr)

    def changes(self, *before):
        """The change works, and what it has done can be seen by everybody."""
        done = run("pinfold", "unlock", "--", *before, *self.CHANGE)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(run(*self.LOOK).returncode, 0)
        self.assertEqual(run("pinfold", "unlock", "--", *self.UNDO).returncode, 0)
        self.assertNotEqual(run(*self.LOOK).returncode, 0)
        return done.stderr

    @staticmethod
    def unlocks():
        return [r["text"] for r in records() if r.get("event") == "unlock"]

    @staticmethod
    def refusals():
        return [r for r in records() if r.get("reason") == "guarded"]

    def test_refused(self):
        n = len(self.refusals())
        self.assert_refused(self.CHANGE)
        record = wait_until(lambda: self.refusals()[n:])[0]
        self.assertIn("pinfold unlock", record["advice"])
        self.assertNotIn("session", record)
        self.assertEqual([record[k] for k in ("type", "class", "hook", "object", "comm", "error")],
                         ["denial", "guard", "bpf", "pf_marks", "bpftool", 1])
        with open(f"{BASE}/pinfoldd.log", encoding="utf-8") as f:
            self.assertIn("bpftool (pid", f.read())

    def test_users(self):
        """Who could not change anything anyway does not fill the log."""
        n = len(self.refusals())
        top = product.checked("findmnt", "-t", "cgroup2", "-no", "TARGET").split()[0]
        remove = ["rmdir", f"{top}/pinfold.slice"]
        for before in ([], ["unshare", "-Ur"]):
            done = run(*before, *remove, preexec_fn=product.as_user())
            self.assertRegex(done.stderr, "not permitted|denied")
        self.assert_refused(remove)
        wait_until(lambda: self.refusals()[n:])
        self.assertEqual([r["uid"] for r in self.refusals()[n:]], [0])

    def test_rules(self):
        """A policy's map, which has no pin of its own."""
        product.policy("guarded", write=[f"{BASE}/guarded"])
        os.makedirs(f"{BASE}/guarded", exist_ok=True)
        before = self.rule_maps()
        s = Session("sh", "-c", "echo; read x", policy="guarded")
        s.line()
        number, = self.rule_maps() - before
        self.assert_refused(["bpftool", "map", "freeze", "id", str(number)])
        self.assertEqual(run("bpftool", "map", "dump", "id", str(number)).returncode, 0)
        product.checked("pinfold", "unlock", "--", "bpftool", "map", "freeze", "id", str(number))
        s.say("")
        s.end()

    @staticmethod
    def rule_maps():
        maps = json.loads(product.checked("bpftool", "-j", "map", "show"))
        return {m["id"] for m in maps if m.get("name") == "pf_rules"}

    def test_unlock(self):
        self.assertEqual(self.changes(), "")
        self.assertEqual(self.changes("sh", "-c", 'exec "$@" | cat', "sh"), "", "a child's child")
        self.assertTrue(any(t.endswith(" ".join(self.UNDO)) for t in self.unlocks()), self.unlocks())
        self.assert_refused(self.CHANGE)

    def test_statuses(self):
        for command, status in ((["true"], 0), (["sh", "-c", "exit 7"], 7), (["/etc"], 126),
                                (["pf-nowhere"], 127)):
            self.assertEqual(run("pinfold", "unlock", *command).returncode, status, command)

    def test_long_command(self):
        product.checked("pinfold", "unlock", "true", "x\n\033" + "y" * 100000)
        self.assertIn("true x??yyy", self.unlocks()[-1])
        self.assertTrue(self.unlocks()[-1].endswith("y..."))

    def test_nobody_else(self):
        for user in (True, False):
            status, _, err = Session("pinfold", "unlock", "--", "true", user=user).end()
            self.assertEqual(status, 125, err)
        done = run("pinfold", "unlock", "--", "true", preexec_fn=product.as_user())
        self.assertEqual((done.returncode, "only root" in done.stderr), (125, True))
        done = run("unshare", "-Ur", "pinfold", "unlock", "--", "true", preexec_fn=product.as_user())
        self.assertEqual(done.returncode, 125, done.stderr)
        done = run("setpriv", "--bounding-set=-all", "--inh-caps=-all", "pinfold", "unlock", "--",
                   *self.CHANGE)
        self.assertNotEqual(done.returncode, 0)

    def test_no_daemon(self):
        """Crashed, then hung: guarded all the same, the way in is open, and says what it lacks."""
        n = len(self.refusals())
        DAEMON.kill()
        self.assert_refused(self.CHANGE)
        self.assertIn("not on record: pinfoldd does not run", self.changes())
        DAEMON.start()
        self.assertEqual(len(wait_until(lambda: self.refusals()[n:])), 1)
        DAEMON.process.send_signal(signal.SIGSTOP)
        done = run("pinfold", "unlock", "--", "true")
        DAEMON.process.send_signal(signal.SIGCONT)
        self.assertEqual(done.returncode, 0)
        self.assertIn("not on record: pinfoldd does not answer", done.stderr)


class Caps(unittest.TestCase):
    """One user cannot take it all, and the daemon does not spin."""

    def test_sessions_per_user(self):
        DAEMON.stop()
        DAEMON.options = ("--sessions-per-user", "2")
        DAEMON.start()
        try:
            held = [Session("sh", "-c", "read x", user=True, options=("-n", f"held{i}"))
                    for i in range(2)]
            wait_until(lambda: find("held0") and find("held1"))
            status, _, err = Session("true", user=True).end()
            self.assertEqual(status, 125)
            self.assertIn("has 2 sessions already", err)
            self.assertEqual(Session("true").end()[0], 0, "another user")
            held[0].say("")
            held[0].end()
            wait_until(lambda: find("held0")["state"] == "ended")
            self.assertEqual(Session("true", user=True).end()[0], 0)
            held[1].say("")
            held[1].end()
            self.connections(2 + 64)
        finally:
            DAEMON.stop()
            DAEMON.options = ()
            DAEMON.start()

    def connections(self, most):
        script = ("import socket, sys\nheld = []\n"
                  "for i in range(int(sys.argv[1])):\n"
                  "  s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
                  "  s.settimeout(60); s.connect('/run/pinfold/ctl.sock')\n"
                  "  s.send(b'{\"v\":1,\"cmd\":\"version\"}'); held.append(s)\n"
                  "  print(s.recv(65536).decode())\n")
        out = run("/usr/bin/python3", "-c", script, str(most + 1), preexec_fn=product.as_user())
        answers = [json.loads(line) for line in out.stdout.splitlines()]
        # refused with words when the daemon reads the request first, else by closing
        self.assertEqual([a["ok"] for a in answers[:most]], [True] * most, out.stderr)
        self.assertTrue("ConnectionResetError" in out.stderr or
                        "too many connections" in answers[most]["error"]["message"], out)

    UNREAD = """if True:
        import json, socket, sys
        def ask():
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.settimeout(240)
            s.connect("/run/pinfold/ctl.sock")
            s.send(json.dumps({"v": 1, "cmd": "logs", "args": {"session": sys.argv[1],
                                                              "lines": 100000}}).encode())
            return s, json.loads(s.recv(65536))
        asked = [ask()]
        while asked[-1][1]["ok"] and len(asked) < 8:
            asked.append(ask())
        print(json.dumps([answer["ok"] for _, answer in asked]))
        for s, answer in asked:
            while answer.get("more"):
                answer = json.loads(s.recv(65536))
        print(json.dumps(ask()[1]["ok"]))
    """

    def test_answers_that_nobody_reads(self):
        """A user's clients that ask for records and do not read them are refused more."""
        os.rename(product.LOG, f"{product.LOG}.long")  # or the older file is too far back
        DAEMON.process.send_signal(signal.SIGHUP)
        wait_until(lambda: os.path.exists(product.LOG))
        s = Session("sh", "-c", "read x", user=True, options=("-n", "unread"))
        wait_until(lambda: find("unread") and find("unread")["state"] == "running")
        session, older = find("unread")["id"], product.LOG + ".1"
        self.assertFalse(os.path.exists(older))
        line = json.dumps({"seq": 1, "type": "denial", "session": session, "object": "x" * 1000},
                          separators=(",", ":"))  # as the daemon writes it
        with open(older, "w", encoding="ascii") as f:
            f.write((line + "\n") * 5000)  # two such answers are more than may wait
        try:
            out = product.checked("/usr/bin/python3", "-c", self.UNREAD, session,
                                  preexec_fn=product.as_user(), timeout=300)
        finally:
            os.unlink(older)
        first, again = out.split("\n")[:2]
        self.assertEqual(json.loads(first)[:2], [True, True])
        self.assertEqual(json.loads(first)[-1], False)
        self.assertEqual(again, "true")
        s.say("")
        s.end()

    def test_locked_memory(self):
        """What the daemon may lock, which is all where its unit starts it, no session may."""
        pid, words = DAEMON.process.pid, ("sh", "-c", "ulimit -S -l; ulimit -H -l")
        before = resource.prlimit(pid, resource.RLIMIT_MEMLOCK)
        whole = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(pid, resource.RLIMIT_MEMLOCK, whole)
        try:
            out = product.checked("prlimit", "--memlock=unlimited", *words)
            self.assertEqual(out, "unlimited\n" * 2)
            for user in (False, True):
                self.assertEqual(Session(*words, user=user).end()[1], "8192\n" * 2)
        finally:
            resource.prlimit(pid, resource.RLIMIT_MEMLOCK, before)

    def test_no_descriptor_left(self):
        """Who connects waits; the daemon sleeps meanwhile and goes on when there is one again."""
        pid = DAEMON.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        waiting = subprocess.Popen(["pinfold", "ps", "--json"], stdout=subprocess.PIPE)
        wait_until(lambda: b"they wait" in self.daemon_log())
        ticks = self.ticks(pid)
        with self.assertRaises(subprocess.TimeoutExpired):  # the measured time, and it waits
            waiting.communicate(timeout=2)
        self.assertLess(self.ticks(pid) - ticks, os.sysconf("SC_CLK_TCK"), "it spins")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        out, _ = waiting.communicate(timeout=product.SECONDS)
        self.assertIn("sessions", json.loads(out))

    @staticmethod
    def daemon_log():
        with open(f"{BASE}/pinfoldd.log", "rb") as f:
            return f.read()

    @staticmethod
    def ticks(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            words = f.read().rsplit(")", 1)[1].split()
        return int(words[11]) + int(words[12])


class Closing(unittest.TestCase):
    """Who hands the daemon a descriptor that takes long to close holds nobody else up."""

    CLIENT = """if True:
        import signal, socket, struct, sys, time
        signal.alarm(60)  # a close that waits ends with it
        server = socket.create_server(("127.0.0.1", 0))

        def lingering(seconds):
            s = socket.create_connection(server.getsockname())
            s.setblocking(False)
            try:
                while True:
                    s.send(bytes(65536))
            except BlockingIOError:
                pass
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))
            return s

        before = time.monotonic()
        lingering(1).close()
        assert time.monotonic() - before > 0.9, "it does not linger"
        out = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        out.connect(sys.argv[1])
        with lingering(100000) as s:
            request = b'{"v":1,"cmd":"version"}' + bytes(int(sys.argv[3]))
            socket.send_fds(out, [request], [s.fileno()] * int(sys.argv[2]))
        out.shutdown(socket.SHUT_WR)
        print("sent", flush=True)
        sys.stdin.read()
    """

    def client(self, path, n, more, uid):
        """One that has sent n such descriptors, is not the last to have them, and stays."""
        DAEMON.process.send_signal(signal.SIGSTOP)
        try:
            client = subprocess.Popen(
                ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                 "/usr/bin/python3", "-c", self.CLIENT, path, str(n), str(more)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.assertEqual(client.stdout.readline(), "sent\n")
        finally:
            DAEMON.process.send_signal(signal.SIGCONT)
        return client

    def test_lingering_socket(self):
        group = grp.getgrnam("pinfold").gr_gid
        gates = os.stat("/run/pinfold/gate.sock").st_gid
        for where in (("ctl", 1, 0, group), ("ctl", 6, 0, group), ("ctl", 200, 0, group),
                      ("ctl", 1, 70000, group), ("gate", 1, 0, gates)):
            with self.subTest(where=where):
                client = self.client(f"/run/pinfold/{where[0]}.sock", *where[1:])
                try:
                    product.checked("pinfold", "ps")
                finally:
                    client.communicate("", timeout=90)

    def test_gates_only(self):
        """Who is in no group of Pinfold's connects to neither socket."""
        script = ("import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
                  "s.connect(sys.argv[1])")
        for name in ("ctl", "gate"):
            path = f"/run/pinfold/{name}.sock"
            for gid, status in ((os.stat(path).st_gid, 0), (12345, 1)):
                done = run("setpriv", "--reuid=12345", f"--regid={gid}", "--clear-groups",
                           "/usr/bin/python3", "-c", script, path)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertEqual("PermissionError" in done.stderr, status == 1)


class Follow(unittest.TestCase):
    """`audit tail -f` and `logs -f` over a rotation: no line lost, none twice."""

    def test_rotation(self):
        s = Session("sh", "-c", "while read i; do echo x >/etc/pf-follow-$i; echo; done",
                    options=("-n", "follow"))
        session = wait_until(lambda: find("follow"))["id"]
        with open(f"{BASE}/tail", "wb") as tail, open(f"{BASE}/logs", "wb") as logs:
            seen = [subprocess.Popen(["pinfold", "audit", "tail", "-f", "-n", "1", "--json"],
                                     stdout=tail),
                    subprocess.Popen(["pinfold", "logs", "-f", "-n", "1", "--json", session],
                                     stdout=logs)]
        wait_until(lambda: product.records(f"{BASE}/tail") and product.records(f"{BASE}/logs"))
        first = product.records(f"{BASE}/tail")[0]["seq"]
        for i in range(3):
            for j in range(20):
                s.say(f"{i}-{j}")
                s.line()
            for older, newer in ((".3", ".2"), (".2", ".1"), (".1", "")):
                if os.path.exists(product.LOG + newer):
                    os.rename(product.LOG + newer, product.LOG + older)
            # between the two the daemon goes on with the old file, and a new reader finds it
            s.say(f"{i}-between")
            s.line()
            wait_until(lambda: self.has(f"{BASE}/tail", f"pf-follow-{i}-between"))
            self.assertIn(f"pf-follow-{i}-between",
                          product.checked("pinfold", "audit", "tail", "-n", "5"))
            DAEMON.process.send_signal(signal.SIGHUP)
            wait_until(lambda: os.path.exists(product.LOG))
        s.say("last")
        s.line()
        self.assertIn("pf-follow-2-19", product.checked("pinfold", "audit", "tail", "-n", "50"),
                      "from before the rotation")
        s.process.stdin.close()
        s.process.wait()
        end = product.ended(session)
        wait_until(lambda: self.has(f"{BASE}/tail", "ended") and self.has(f"{BASE}/logs", "ended"))
        for p in seen:
            p.terminate()
            p.wait()
        written = sorted((r for n in ("", ".1", ".2", ".3")
                          for r in product.records(product.LOG + n)), key=lambda r: r["seq"])
        for path, mine in (("tail", lambda r: True),
                           ("logs", lambda r: r.get("session") == session)):
            got = product.records(f"{BASE}/{path}")
            since = got[0]["seq"]
            self.assertEqual(got, [r for r in written if mine(r) and
                                   since <= r["seq"] <= got[-1]["seq"]])
            self.assertGreaterEqual(got[-1]["seq"], end["seq"])
        self.assertLessEqual(first, end["seq"])

    @staticmethod
    def has(path, text):
        with open(path, "rb") as f:
            return text.encode() in f.read()


def main():
    product.prepare()
    DAEMON.start()
    LoadTest.daemon = DAEMON
    try:
        suite = unittest.defaultTestLoader.loadTestsFromNames(
            sys.argv[1:] or ["Why", "Adoption", "Policy", "Slice", "End", "Panic", "Unlock", "Caps",
                             "Closing", "Follow", "Lease", "Load", "LoadTrust", "LoadGap", "LoadMoves"],
            sys.modules[__name__])
        result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    finally:
        DAEMON.stop()
    bad = len(result.failures) + len(result.errors)
    if bad:
        for path, n in ((f"{BASE}/pinfoldd.log", 40), (product.LOG, 10)):
            print(f"-- {path}", product.checked("tail", "-n", str(n), path), sep="\n")
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, "
          f"{len(result.skipped)} skipped")
    return bad > 0 or result.testsRun == 0


if __name__ == "__main__":
    sys.exit(main())
