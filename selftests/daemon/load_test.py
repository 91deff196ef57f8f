# SPDX-License-Identifier: Apache-2.0
"""`pinfold policy load`: another policy for a session that lives. Its tests are daemon_test.py's."""

import contextlib
import ctypes
import hashlib
import json
import os
import socket
import struct
import subprocess
import threading
import time
import unittest

import product
from product import BASE, Session, find, records, run, wait_until

TREE = f"{BASE}/load"
MNT_FORCE, MNT_DETACH = 1, 2

# Answers each line "open PATH" or "exec PATH" with the name of the error, or "ok".
AGENT = """if True:
    import errno, os, sys
    def act(what, path):
        if what == "exec":
            os.posix_spawn(path, [path], {})
        elif what == "write":
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
        elif what in ("move", "link"):
            {"move": os.rename, "link": os.link}[what](*path.split(":"))
        else:
            os.close(os.open(path, os.O_RDONLY))
    held = {}
    for line in sys.stdin:
        what, path = line.split()
        try:
            if what == "hold":
                held[path] = open(path)
            elif what == "held":
                held[path].seek(0)
                held[path].read()
            else:
                act(what, path)
            print("ok", flush=True)
        except OSError as e:
            print(errno.errorcode[e.errno], flush=True)
"""


def write(path, text="x\\n", mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def policy(name, **lists):
    """An installed policy with these lists of files, and exec; read: [/] unless it says so."""
    lists = {"read": ["/"], **lists}
    allow = lists.pop("exec", None)
    more = lists.pop("more", "")
    files = "".join(f"  {k}: [ {', '.join(v)} ]\n" for k, v in lists.items())
    text = f"pinfold: 1\nname: {name}\nfiles:\n{files}"
    if allow is not None:
        text += f"exec:\n  allow: [ {', '.join(allow)} ]\n"
    write(f"{product.POLICIES}/{name}.yaml", text + more)
    return name


def load_once(policy_name, session, user=False):
    return run("pinfold", "policy", "load", "--json", "--policy", policy_name, session,
               preexec_fn=product.as_user() if user else None)


def load(policy_name, session, user=False):
    """A user may do so once a second only."""
    last = []

    def tried():
        last[:] = [load_once(policy_name, session, user)]
        return "one a second" not in last[0].stderr
    wait_until(tried)
    return last[0]


def cgroup(session, name):
    """A file or directory of the session's cgroups."""
    top = product.checked("findmnt", "-t", "cgroup2", "-no", "TARGET").split()[0]
    return f"{top}/pinfold.slice/{find(session)['id']}/{name}"


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def put(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def stands_still(session):
    return "frozen 1" in read(cgroup(session, "agent/cgroup.events"))


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class LoadTest(unittest.TestCase):
    daemon = None  # daemon_test.py's

    def start(self, name, policy_name, user=False, argv=("/usr/bin/python3", "-c", AGENT)):
        s = Session(*argv, policy=policy_name, user=user, options=("-n", name))
        self.addCleanup(self.end, s)
        wait_until(lambda: find(name) and find(name)["state"] == "running")
        return s

    @staticmethod
    def end(s):
        if s.process.poll() is None:
            s.process.kill()
        s.end()

    @staticmethod
    def ask(s, *words):
        s.say(" ".join(words))
        return s.line()

    def loads(self, policy_name, session, **kw):
        done = load(policy_name, session, **kw)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def refused(self, policy_name, session, *words, **kw):
        before = find(session)
        done = load(policy_name, session, **kw)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(find(session)["policy_sha256"], before["policy_sha256"])
        return done.stderr


class Load(LoadTest):
    """Each list of a policy, both ways."""

    def setUp(self):
        super().setUp()
        self.a, self.b = write(f"{TREE}/a/file"), write(f"{TREE}/b/file")

    def both_ways(self, what, path, old, new, before="EACCES", after="ok"):
        name = f"ways-{what}{len(old)}{len(new)}"
        s = self.start(name, policy("ways-old", **old))
        policy("ways-new", **new)
        self.assertEqual(self.ask(s, what, path), before)
        self.assertTrue(self.loads("ways-new", name)["changed"])
        self.assertEqual(self.ask(s, what, path), after)
        self.loads("ways-old", name)
        self.assertEqual(self.ask(s, what, path), before)

    def test_read(self):
        few = ["/usr", "/lib", "/lib64", "/etc", "/bin"]
        self.both_ways("open", self.a, {"read": few}, {"read": few + [f"{TREE}/a"]})

    def test_deny(self):
        self.both_ways("open", self.a, {}, {"deny": [f"{TREE}/a"]}, "ok", "EACCES")

    def test_deny_of_what_is_not_there(self):
        self.both_ways("write", f"{TREE}/a/new", {"write": [TREE]},
                       {"write": [TREE], "deny": [f"{TREE}/a/new"]}, "ok", "EACCES")

    def test_write(self):
        self.both_ways("write", self.a, {}, {"write": [f"{TREE}/a"]})

    def test_exec(self):
        tool = write(f"{TREE}/tool", "#!/bin/sh\n", 0o755)
        self.both_ways("exec", tool, {"exec": ["/usr", "/bin", "/lib", "/lib64"]},
                       {"exec": ["/usr", "/bin", "/lib", "/lib64", TREE]})

    def test_open_stays_open(self):
        """What a process has open already is its own; the next open is judged anew."""
        s = self.start("stays", policy("stays"))
        self.assertEqual(self.ask(s, "hold", self.a), "ok")
        self.loads(policy("stays-not", deny=[f"{TREE}/a"]), "stays")
        self.assertEqual(self.ask(s, "held", self.a), "ok")
        self.assertEqual(self.ask(s, "open", self.a), "EACCES")

    def test_known(self):
        """ps, the log, why and a restart of the daemon know the policy and the rule in force."""
        s = self.start("known", policy("known", deny=[f"{TREE}/a"]))
        self.assertEqual(self.ask(s, "open", self.a), "EACCES")
        live = find("known")
        old, new = sha256(live["policy_file"]), None
        for n, path in enumerate((f"{TREE}/b", f"{TREE}/a", f"{TREE}/b")):
            name = policy(f"known-{n}", deny=[path], more=f"# {n}\n")
            reply = self.loads(name, "known")
            new = sha256(f"{product.POLICIES}/{name}.yaml")
            self.assertEqual((reply["old_sha256"], reply["policy_sha256"]), (old, new))
            event = [r for r in records() if r.get("session") == live["id"] and
                     r.get("event") == "policy-loaded"][-1]
            self.assertEqual((event["uid"], event["old_sha256"], event["policy_sha256"]),
                             (0, old, new))
            self.assertEqual(self.ask(s, "open", f"{path}/file"), "EACCES")
            wait_until(lambda path=path: self.rule("known") == path)
            self.daemon.kill()
            self.daemon.start()
            self.assertEqual(find("known")["policy_sha256"], new)
            self.assertEqual(self.rule("known"), path)
            self.assertEqual(self.ask(s, "open", f"{path}/file"), "EACCES")
            old = new
        self.assertEqual(self.ask(s, "open", self.a), "ok")
        self.assertEqual(self.loads(name, "known")["changed"], False)
        self.assertEqual(self.ask(s, "open", f"{TREE}/b/file"), "EACCES")

    def test_same_again(self):
        """The same text may mean other files by now."""
        path = write(f"{TREE}/again/file")
        s = self.start("again", policy("again", write=[path]))
        self.assertEqual(self.ask(s, "write", path), "ok")
        os.rename(write(f"{TREE}/again/new"), path)
        self.assertEqual(self.ask(s, "write", path), "EACCES")
        self.loads("again", "again")
        self.assertEqual(self.ask(s, "write", path), "ok")

    @staticmethod
    def rule(name):
        denials = json.loads(product.checked("pinfold", "why", "--json", name))["denials"]
        return denials[-1].get("rule")

    def test_fixed(self):
        """What a session keeps for its life is refused with its place, and nothing changes."""
        s = self.start("fixed", policy("fixed", deny=[f"{TREE}/a"]))
        write("/tmp/pf-load/file")
        database = ("databases:\n  - { name: orders, type: postgres, tls: off, "
                    "address: '192.0.2.10:5432', database: d, user: u }\n")
        for name, lists, words in (
                ("limits", {"more": "limits: { memory: 64Mi }\n"}, ("limits: memory", ":5:")),
                ("databases", {"more": database}, ("databases: orders is new", ":6:")),
                ("mounts", {"write": ["/tmp/pf-load"]}, ("/tmp/pf-load is new", ":5:"))):
            with self.subTest(name):
                text = self.refused(policy(f"fixed-{name}", **lists), "fixed",
                                    f"{product.POLICIES}/fixed-{name}.yaml", *words)
                self.assertIn("start a new session", text)
                self.assertEqual(self.ask(s, "open", self.a), "EACCES")
        self.refused(policy("fixed-gone", read=["/", f"{TREE}/none"]), "fixed",
                     "No such file", ":4:")
        self.refused(policy("fixed-bad", more="surprise: 1\n"), "fixed", "surprise", ":5:")
        self.assertEqual(self.ask(s, "open", self.a), "EACCES")
        self.assertEqual(self.ask(s, "open", self.b), "ok")
        self.loads(policy("fixed-not", more="# the same limits\n"), "fixed")
        self.assertEqual(self.ask(s, "open", self.a), "ok")

    def test_links_of_the_agent(self):
        """A path that gives rights is not led astray by what the agent has put there."""
        secret = write(f"{TREE}/secret/file")
        os.makedirs(f"{TREE}/mine", exist_ok=True)
        os.symlink(f"{TREE}/secret", f"{TREE}/mine/link")
        few = ["/usr", "/lib", "/lib64", "/bin"]
        s = self.start("links", policy("links", read=few, write=[f"{TREE}/mine"]))
        self.assertEqual(self.ask(s, "open", secret), "EACCES")
        for more in ({}, {"write": [f"{TREE}/mine"]}):
            self.refused(policy("links-read", read=few + [f"{TREE}/mine/link"], **more),
                         "links", "symbolic link")
            self.assertEqual(self.ask(s, "open", secret), "EACCES")
        self.loads(policy("links-real", read=few + [f"{TREE}/secret"],
                          write=[f"{TREE}/mine"]), "links")
        self.assertEqual(self.ask(s, "open", secret), "ok")

    def test_links_that_lead_to_a_denied_path(self):
        """Nor is one that is denied, and may be behind a name that the policy does not know."""
        secret = write(f"{TREE}/closed/sub/file")
        os.makedirs(f"{TREE}/real/work", exist_ok=True)
        for link, to in (("alias", "real"), ("real/work/.git", "closed/sub")):
            if not os.path.islink(f"{TREE}/{link}"):
                os.symlink(f"{TREE}/{to}", f"{TREE}/{link}")
        lists = {"write": [f"{TREE}/real/work"], "deny": [f"{TREE}/closed"]}
        s = self.start("led", policy("led", **lists))
        self.assertEqual(self.ask(s, "open", secret), "EACCES")
        for tree in ("alias", "real"):
            lists["deny"] = [f"{TREE}/closed", f"{TREE}/{tree}/work/.git/hooks"]
            self.refused(policy("led-astray", **lists), "led", "symbolic link", "real path")
            self.assertEqual(self.ask(s, "open", secret), "EACCES")

    def test_second_names(self):
        """A file that an earlier policy let it link is not written to by that name for ever."""
        data, work = write(f"{TREE}/names/data/file"), f"{TREE}/names/work"
        for path in (data, f"{work}/file", f"{work}/own"):
            if os.path.exists(path):
                os.unlink(path)
        write(data)
        os.makedirs(work, exist_ok=True)
        s = self.start("names", policy("names", write=[f"{TREE}/names/data", work]))
        self.assertEqual(self.ask(s, "link", f"{data}:{work}/file"), "ok")
        self.assertEqual(self.ask(s, "write", f"{work}/file"), "ok")
        self.loads(policy("names-few", write=[work]), "names")
        self.assertEqual(self.ask(s, "write", data), "EACCES")
        self.assertEqual(self.ask(s, "write", f"{work}/file"), "EACCES")
        self.assertEqual(self.ask(s, "write", f"{work}/own"), "ok")
        self.assertEqual(self.ask(s, "link", f"{work}/own:{work}/own2"), "ok")
        self.assertEqual(self.ask(s, "write", f"{work}/own"), "ok")
        for name in ("own", "own2"):
            os.unlink(f"{work}/{name}")

    def test_database(self):
        """A session's connection to its database goes on."""
        product.postgres()
        s = self.start("base", policy("base", more=product.DATABASES),
                       argv=("psql", "-qXAt", "-h", "orders", "-d", "postgres"))
        look = f"\\! cat {self.a} >/dev/null 2>&1 && echo read || echo refused"
        for lists, seen in (({}, "read"), ({"deny": [f"{TREE}/a"]}, "refused"), ({}, "read")):
            self.loads(policy("base-next", more=product.DATABASES, **lists), "base")
            s.say("select 40 + 2;")
            self.assertEqual(s.line(), "42")
            s.say(look)
            self.assertEqual(s.line(), seen)
        s.say("\\q")
        self.assertEqual(s.end()[0], 0)


class LoadTrust(LoadTest):
    """Who may load what, and whose session it is."""

    OWN = "pinfold: 1\nname: own\nfiles: { read: [ / ] }\n"

    def test_own_session(self):
        path = write(f"{TREE}/trust/file")
        first = write(f"{TREE}/own-1.yaml", self.OWN)
        second = write(f"{TREE}/own-2.yaml", self.OWN.replace("}", f", deny: [ {path} ] }}"))
        s = self.start("own", first, user=True)
        self.assertEqual(self.ask(s, "open", path), "ok")
        self.loads(second, "own", user=True)
        self.assertEqual(self.ask(s, "open", path), "EACCES")
        closed = write(f"{TREE}/closed/file", mode=0o644)
        os.chmod(f"{TREE}/closed", 0o700)
        third = write(f"{TREE}/own-3.yaml", self.OWN.replace("/ ]", f"/, {closed} ]"))
        self.refused(third, "own", "cannot open", "Permission denied", user=True)
        self.loads(first, "own", user=True)
        # an installed one he could have run, and once there it is not exchanged for his own
        self.loads(policy("installed", deny=[path]), "own", user=True)
        self.assertEqual(self.ask(s, "open", path), "EACCES")
        self.refused(first, "own", "policy that root owns", user=True)
        self.assertEqual(self.ask(s, "open", path), "EACCES")

    def test_root_has_the_last_word(self):
        path = write(f"{TREE}/trust/file")
        first = write(f"{TREE}/own-1.yaml", self.OWN)
        s = self.start("last", first, user=True)
        self.loads(policy("tight", deny=[path]), "last")
        self.refused("free", "last", "only root", user=True)
        self.refused(first, "last", "only root", user=True)
        self.assertEqual(self.ask(s, "open", path), "EACCES")
        session = find("last")["id"]
        refusals = [r for r in records() if r.get("session") == session and
                    r.get("event") == "policy-refused"]
        self.assertEqual(len(refusals), 2)
        self.loads("free", "last")
        self.assertEqual(self.ask(s, "open", path), "ok")

    def test_root_says_the_same(self):
        """Also by loading what is in force already."""
        s = self.start("pinned", "free", user=True)
        self.loads("free", "pinned", user=True)
        self.assertEqual(self.loads("free", "pinned")["changed"], False)
        self.refused(policy("tight"), "pinned", "only root", user=True)
        self.assertEqual(self.ask(s, "open", "/etc/passwd"), "ok")

    def test_pace(self):
        """A user has one load at a time and one a second, whatever becomes of them."""
        names = ("pace-1", "pace-2")
        sessions = [self.start(name, "free", user=True) for name in names]
        bad = policy("pace-bad", more="surprise: 1\n")
        self.assertIn("surprise", load(bad, names[0], user=True).stderr)
        self.loads("free", names[0], user=True)
        began = time.monotonic()
        many = [subprocess.Popen(["pinfold", "policy", "load", "-p", bad, names[i % 2]],
                                 stderr=subprocess.PIPE, text=True, preexec_fn=product.as_user())
                for i in range(12)]
        answers = [p.communicate(timeout=product.SECONDS)[1] for p in many]
        looked_at = [a for a in answers if "one a second" not in a]
        self.assertLessEqual(len(looked_at), time.monotonic() - began + 1.1, answers)
        os.mkdir(cgroup(names[0], "marks"))
        put(cgroup(names[0], "marks/cgroup.freeze"), "1")
        wait_until(lambda: self.is_waiting(names[0]))
        began = time.monotonic()
        wait_until(lambda: time.monotonic() > began + 1.5)
        self.assertIn("one policy at a time", load_once("free", names[1], user=True).stderr)
        for _ in range(3):
            self.assertEqual(load_once("free", names[1]).returncode, 0)
        put(cgroup(names[0], "marks/cgroup.freeze"), "0")
        wait_until(lambda: self.waiting.poll() is not None)
        for s in sessions:
            self.assertEqual(self.ask(s, "open", "/etc/passwd"), "ok")

    def is_waiting(self, name):
        """A load whose paths are not opened as long as that cgroup is frozen."""
        self.waiting = subprocess.Popen(
            ["pinfold", "policy", "load", "--json", "-p", "free", name], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=product.as_user())
        wait_until(lambda: self.waiting.poll() is not None or stands_still(name))
        return self.waiting.poll() is None

    def test_sessions_of_others(self):
        root = self.start("of-root", "free")
        lent = Session("/usr/bin/python3", "-c", AGENT,
                       options=("-n", "lent", "-u", product.USER))
        self.addCleanup(self.end, lent)
        wait_until(lambda: find("lent") and find("lent")["state"] == "running")
        path = write(f"{TREE}/trust/file")
        tight = policy("tight", deny=[path])
        self.refused(tight, "of-root", "no session", user=True)
        self.refused(tight, "lent", "only who started the session", user=True)
        for s, name in ((root, "of-root"), (lent, "lent")):
            self.assertEqual(self.ask(s, "open", path), "ok")
            self.loads(tight, name)
            self.assertEqual(self.ask(s, "open", path), "EACCES")


# Which of a and b may be opened changes from load to load; never and always do not.
LOOP = """if True:
    import json, os, signal, sys, threading, time
    tree, stop = sys.argv[1], threading.Event()
    seen = {"n": 0, "bad": [], "states": []}
    def can(what, *words):
        try:
            r = what(*words)
            if r is not None:
                os.close(r)
            return True
        except PermissionError:
            return False
    def look():
        return can(os.open, tree + "/a/file", os.O_RDONLY)
    def turn():
        began = time.monotonic()
        first, other = look(), can(os.open, tree + "/b/file", os.O_RDONLY)
        never = can(os.open, tree + "/never/file", os.O_RDONLY)
        always = can(os.open, tree + "/always/file", os.O_RDONLY)
        moved = can(os.rename, tree + "/a/move", tree + "/b/move")
        last = look()
        seen["n"] += 1
        if first not in seen["states"]:
            seen["states"].append(first)
        # one policy was in force all the time, unless it took as long as two loads
        held = first == last and time.monotonic() - began < 0.2
        if never or not always or moved or (held and first == other):
            seen["bad"].append([first, other, never, always, moved, last])
    def loop():
        while not stop.wait(0.02):  # no flood of denials, which the daemon has to write
            turn()
    def without_pause(result):
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        n = lost = 0
        while not stop.is_set():
            n += 1
            lost += not can(os.open, tree + "/always/file", os.O_RDONLY)
        os.write(result, json.dumps([n, lost]).encode())
        os._exit(0)
    pipe = os.pipe()
    child = os.fork()
    if child == 0:
        without_pause(pipe[1])
    threads = [threading.Thread(target=loop) for i in range(2)]
    for t in threads:
        t.start()
    print("runs", flush=True)
    sys.stdin.readline()
    stop.set()
    for t in threads:
        t.join()
    os.kill(child, signal.SIGTERM)
    seen["always"], seen["lost"] = json.loads(os.read(pipe[0], 100))
    print(json.dumps(seen), flush=True)
"""


class LoadGap(LoadTest):
    """Old rules or new, never none and never some of each."""

    def setUp(self):
        super().setUp()
        for name in ("a", "b", "never", "always"):
            write(f"{TREE}/{name}/file")
        write(f"{TREE}/a/move")
        for mine, other in ("ab", "ba"):
            policy(f"gap-{mine}", write=[f"{TREE}/{mine}"],
                   deny=[f"{TREE}/{other}", f"{TREE}/never"])

    def test_loop(self):
        s = self.start("loop", "gap-a", argv=("/usr/bin/python3", "-c", LOOP, TREE))
        self.assertEqual(s.line(), "runs")
        for i in range(20):
            self.loads(f"gap-{'ba'[i % 2]}", "loop")
        s.say("")
        seen = json.loads(s.line())
        self.assertEqual((seen["bad"], seen["lost"]), ([], 0))
        self.assertGreater(seen["always"], 1000)
        self.assertEqual(sorted(seen["states"]), [False, True])
        self.assertGreater(seen["n"], 100)

    def agrees(self, s, name):
        """The policy that the session is said to have is the one that it feels."""
        mine = {sha256(f"{product.POLICIES}/gap-{x}.yaml"): x for x in "ab"}[
            find(name)["policy_sha256"]]
        for x in "ab":
            self.assertEqual(self.ask(s, "open", f"{TREE}/{x}/file"),
                             "ok" if x == mine else "EACCES")
        self.assertEqual(self.ask(s, "open", f"{TREE}/never/file"), "EACCES")
        return mine

    def test_killed_daemon(self):
        """Killed at each step of a load: what the next daemon says and the kernel does agree."""
        s = self.start("killed", "gap-a")
        results = []
        for call, count in (("pidfd_getfd", 1), ("pidfd_getfd", 2), ("clone3", 1), ("bpf", 1),
                            ("bpf", 40), ("rename,renameat,renameat2", 1),
                            ("rename,renameat,renameat2", 2), ("rename,renameat,renameat2", 3),
                            ("write,pwrite64", 2), ("pidfd_getfd", 3)):
            was = self.agrees(s, "killed")
            results.append((call, count, self.kill_in_load("ba"[was == "b"], call, count)))
            now = self.agrees(s, "killed")
            results[-1] += (was != now,)
        self.assertEqual({r[3] for r in results}, {False, True}, results)
        self.assertIn(True, [r[2] for r in results], results)
        self.loads("gap-a", "killed")
        self.loads("gap-b", "killed")
        self.assertEqual(self.agrees(s, "killed"), "b")

    def kill_in_load(self, new, call, count):
        """Whether the daemon died at that system call."""
        trace = subprocess.Popen(
            ["strace", "-qq", "-o", "/dev/null", "-p", str(self.daemon.process.pid),
             "-e", f"inject={call}:signal=SIGKILL:when={count}"], stderr=subprocess.PIPE)
        wait_until(lambda: self.traced(self.daemon.process.pid))
        load(f"gap-{new}", "killed")
        died = self.daemon.process.poll() is not None
        trace.terminate()
        trace.communicate()
        if not died:
            self.daemon.kill()
        self.daemon.process.wait()
        self.daemon.start()
        return died

    @staticmethod
    def traced(pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return "TracerPid:\t0" not in f.read()

    def test_two_at_once(self):
        s = self.start("two", "gap-a")
        for _ in range(3):
            both = [subprocess.Popen(["pinfold", "policy", "load", "-p", f"gap-{x}", "two"],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                    for x in "ab"]
            for p in both:
                _, err = p.communicate(timeout=product.SECONDS)
                self.assertTrue(p.returncode == 0 or "being loaded" in err, err)
            self.assertIn(0, [p.returncode for p in both])
            self.agrees(s, "two")

    def test_end_of_the_session(self):
        """A load and the end at one time: a clear answer, and nothing left."""
        for _ in range(3):
            s = Session("/usr/bin/python3", "-c", AGENT, policy="gap-a", options=("-n", "ending"))
            session = wait_until(lambda: next((x for x in product.sessions()
                                               if x.get("name") == "ending" and
                                               x["state"] == "running"), None))["id"]
            p = subprocess.Popen(["pinfold", "policy", "load", "-p", "gap-b", session],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            product.checked("pinfold", "kill", session)
            _, err = p.communicate(timeout=product.SECONDS)
            self.assertTrue(p.returncode == 0 or "ended" in err, err)
            s.end()
            product.ended(session)
            self.assertIn("has ended", load("gap-b", session).stderr)
        top = product.checked("findmnt", "-t", "cgroup2", "-no", "TARGET").split()[0]
        wait_until(lambda: not os.path.exists(f"{top}/pinfold.slice/{session}"))

    def test_frozen(self):
        """A session that its violations froze gets another policy all the same, and stays."""
        policy("gap-ice", write=[f"{TREE}/a"], deny=[f"{TREE}/b"],
               more="violations: { threshold: 2, action: freeze }\n")
        policy("gap-ice2", write=[f"{TREE}/b"], deny=[f"{TREE}/a"],
               more="violations: { threshold: 2, action: freeze }\n")
        s = self.start("ice", "gap-ice")
        for _ in range(3):
            s.say(f"open {TREE}/b/file")
        wait_until(lambda: find("ice")["state"] == "quarantined")
        self.assertTrue(self.loads("gap-ice2", "ice")["changed"])
        self.assertEqual(find("ice")["policy_sha256"],
                         sha256(f"{product.POLICIES}/gap-ice2.yaml"))
        for _ in range(2):
            self.assertTrue(stands_still("ice"))
            self.assertEqual(find("ice")["state"], "quarantined")
            self.daemon.kill()
            self.daemon.start()
        product.checked("pinfold", "kill", "ice")
        s.end()

    def test_frozen_by_hand(self):
        """What stood still before stands still afterwards; what did not goes on."""
        s = self.start("hand", "gap-a")
        put(cgroup("hand", "agent/cgroup.freeze"), "1")
        wait_until(lambda: stands_still("hand"))
        self.loads("gap-b", "hand")
        self.assertTrue(stands_still("hand"))
        put(cgroup("hand", "agent/cgroup.freeze"), "0")
        self.assertEqual(self.agrees(s, "hand"), "b")
        self.loads("gap-a", "hand")
        self.assertEqual(read(cgroup("hand", "agent/cgroup.freeze")), "0\n")
        self.assertEqual(self.agrees(s, "hand"), "a")

    def held_up(self, name, new):
        """A load that has come as far as opening the paths, and waits there."""
        os.mkdir(cgroup(name, "marks"))
        put(cgroup(name, "marks/cgroup.freeze"), "1")
        p = subprocess.Popen(["pinfold", "policy", "load", "-p", f"gap-{new}", name],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: read(cgroup(name, "marks/cgroup.procs")))
        self.assertTrue(stands_still(name))
        return p

    def test_daemon_dies_while_it_stands_still(self):
        """The next one lets it go on."""
        s = self.start("still", "gap-a")
        p = self.held_up("still", "b")
        self.assertIn("being loaded", load("gap-b", "still").stderr)
        top = cgroup("still", "")
        self.daemon.kill()
        self.assertIn("frozen 1", read(f"{top}/agent/cgroup.events"))
        put(f"{top}/marks/cgroup.freeze", "0")  # it may not have come as far as its exec
        p.communicate(timeout=product.SECONDS)
        self.daemon.start()
        self.assertEqual(self.agrees(s, "still"), "a")
        wait_until(lambda: not read(f"{top}/marks/cgroup.procs"))
        self.loads("gap-b", "still")
        self.assertEqual(self.agrees(s, "still"), "b")
        wait_until(lambda: not os.path.exists(f"{top}/marks"))

    def test_who_opened_paths_before(self):
        """Somebody whom an earlier daemon has left is ended before anybody opens paths again."""
        s = self.start("left", "gap-a")
        os.mkdir(cgroup("left", "marks"))
        with subprocess.Popen(["sleep", "3600"]) as other:
            put(cgroup("left", "marks/cgroup.procs"), str(other.pid))
            self.assertIn("being ended", load("gap-b", "left").stderr)
            self.assertEqual(other.wait(timeout=product.SECONDS), -9)
        self.assertEqual(self.agrees(s, "left"), "a")
        self.loads("gap-b", "left")
        self.assertEqual(self.agrees(s, "left"), "b")

    def test_end_while_it_stands_still(self):
        s = self.start("ends", "gap-a")
        session = find("ends")["id"]
        p = self.held_up("ends", "b")
        product.checked("pinfold", "kill", "ends")
        _, err = p.communicate(timeout=product.SECONDS)
        self.assertIn("ended", err)
        s.end()
        product.ended(session)
        wait_until(lambda: not os.path.exists(cgroup("ends", "")))

    def test_nothing_stays_of_a_load_that_fails(self):
        """Pid 1 of a frozen session takes descriptors until its socket is full."""
        paths = [write(f"{TREE}/many/{i}") for i in range(500)]
        policy("gap-many", write=[f"{TREE}/a"], deny=[f"{TREE}/b", *paths])
        s = self.start("full", "gap-a")
        put(cgroup("full", "agent/cgroup.freeze"), "1")
        wait_until(lambda: stands_still("full"))
        little_room(find("full")["pid"])
        wait_until(lambda: "takes nothing more" in load("gap-many", "full").stderr)
        self.assertEqual(marks(), 0)
        put(cgroup("full", "agent/cgroup.freeze"), "0")
        self.assertEqual(self.ask(s, "open", f"{TREE}/b/file"), "EACCES")
        self.loads("gap-b", "full")
        self.assertEqual(self.agrees(s, "full"), "b")

    def test_paths_that_never_answer(self):
        """Who opens them cannot be ended, but the session goes on."""
        fs = Silent(f"{TREE}/silent")
        self.addCleanup(fs.end)
        s = self.start("silent", "gap-a")
        fs.answers = False
        self.assertIn("does not answer", load("gap-b", "silent").stderr)
        self.assertEqual(self.ask(s, "open", f"{TREE}/a/file"), "ok")
        self.assertEqual(self.agrees(s, "silent"), "a")
        self.assertIn("being loaded", load("gap-b", "silent").stderr)
        fs.end()
        wait_until(lambda: load("gap-b", "silent").returncode == 0)
        self.assertEqual(self.agrees(s, "silent"), "b")


def little_room(pid):
    """The socket over which pid 1 of a session gets descriptors takes as little as there is."""
    call, hold_fd_in = ctypes.CDLL(None).syscall, 10
    pidfd = os.pidfd_open(pid)
    with socket.socket(fileno=call(438, pidfd, hold_fd_in, 0)) as s:  # pidfd_getfd
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    os.close(pidfd)


class Silent:
    """A file system of the host: its server answers with errors or, having read a request, never."""

    INIT, FORGETS, EIO = 26, (2, 42), 5

    def __init__(self, path):
        os.makedirs(path, exist_ok=True)
        run("modprobe", "fuse")  # or built in
        self.answers, self.path = True, path
        self.device = os.open("/dev/fuse", os.O_RDWR)
        self.libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0,allow_other"
        if self.libc.mount(b"pf-silent", path.encode(), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):  # unmounted
            while True:
                _, what, number = struct.unpack_from("=IIQ", os.read(self.device, 1 << 17))
                if what not in self.FORGETS and self.answers:
                    self.answer(what, number)

    def answer(self, what, number):
        body = b""
        if what == self.INIT:
            body = struct.pack("=IIIIHHII36x", 7, 31, 0, 0, 8, 8, 4096, 1)
        os.write(self.device, struct.pack("=IiQ", 16 + len(body), 0 if body else -self.EIO,
                                          number) + body)

    def end(self):
        """Ends all that waits for it."""
        if self.path:
            self.libc.umount2(self.path.encode(), MNT_FORCE | MNT_DETACH)
            self.path = None
            os.close(self.device)


def marks():
    """Identities of files that wait in the kernel for the daemon."""
    path = "/sys/fs/bpf/pinfold/maps/pf_marks"
    return len(json.loads(product.checked("bpftool", "-j", "map", "dump", "pinned", path)))


# Moves the directory away as soon as somebody looks at what is in it, and makes another one.
WATCH = """if True:
    import ctypes, os, sys
    tree, libc = sys.argv[1], ctypes.CDLL(None, use_errno=True)
    def act(what, *words):
        try:
            what(*words)
            return "ok"
        except PermissionError:
            return "refused"
    hook = tree + "/.git/hooks/pre-commit"
    watch = libc.inotify_init1(os.O_CLOEXEC)
    libc.inotify_add_watch(watch, (tree + "/.git/hooks").encode(), 0x20)  # IN_OPEN
    print("runs", flush=True)
    os.read(watch, 4096)
    moved = act(os.rename, tree + "/.git", tree + "/.old")
    if moved == "ok":
        os.makedirs(tree + "/.git/hooks")
    sys.stdin.readline()
    print(moved, act(lambda: open(hook, "w").close()),
          act(lambda: open(tree + "/other", "w").close()), flush=True)
"""

# Exchanges two directories as long as it may, until it is told to stop.
EXCHANGE = """if True:
    import ctypes, os, sys, threading
    tree, libc, go_on = sys.argv[1], ctypes.CDLL(None), threading.Event()
    def swap():
        while True:
            go_on.wait()
            libc.renameat2(-100, (tree + "/in").encode(), -100, (tree + "/out").encode(), 2)
    def can(path):
        try:
            open(path + "/file", "w").close()
            return "ok"
        except PermissionError:
            return "refused"
    threading.Thread(target=swap, daemon=True).start()
    print("runs", flush=True)
    for line in sys.stdin:
        if line == "swap\\n":
            go_on.set()
            print("swaps", flush=True)
        else:
            go_on.clear()
            print(can(tree + "/in"), can(tree + "/out"), flush=True)
"""


class LoadMoves(LoadTest):
    """The agent moves what the policy names, while it is loaded."""

    def test_watch(self):
        tree = f"{TREE}/watch"
        policy("moves", write=[tree])
        policy("moves-deny", write=[tree], deny=[f"{tree}/.git/hooks"])
        for i in range(5):
            product.checked("rm", "-rf", tree)
            os.makedirs(f"{tree}/.git/hooks")
            s = self.start(f"watch-{i}", "moves", argv=("/usr/bin/python3", "-c", WATCH, tree))
            self.assertEqual(s.line(), "runs")
            self.loads("moves-deny", f"watch-{i}")
            s.say("")
            self.assertEqual(s.line(), "refused refused ok")
            s.end()

    def test_watch_without_a_load(self):
        """What it tries works, if it may."""
        tree = f"{TREE}/watch"
        product.checked("rm", "-rf", tree)
        os.makedirs(f"{tree}/.git/hooks")
        s = self.start("watch", policy("moves", write=[tree]),
                       argv=("/usr/bin/python3", "-c", WATCH, tree))
        self.assertEqual(s.line(), "runs")
        os.listdir(f"{tree}/.git/hooks")
        s.say("")
        self.assertEqual(s.line(), "ok ok ok")
        s.end()

    def test_exchange(self):
        tree = f"{TREE}/exchange"
        for name in ("in", "out"):
            os.makedirs(f"{tree}/{name}", exist_ok=True)
        policy("swaps", write=[tree])
        policy("swaps-not", write=[f"{tree}/out"])
        s = self.start("exchange", "swaps", argv=("/usr/bin/python3", "-c", EXCHANGE, tree))
        self.assertEqual(s.line(), "runs")
        places = set()
        for _ in range(10):
            s.say("swap")
            self.assertEqual(s.line(), "swaps")
            self.loads("swaps-not", "exchange")
            s.say("try")
            self.assertEqual(s.line(), "refused ok")
            places.add(os.stat(f"{tree}/out").st_ino)
            self.loads("swaps", "exchange")
        self.assertEqual(len(places), 2, "nothing was exchanged")
        s.say("try")
        self.assertEqual(s.line(), "ok ok")
