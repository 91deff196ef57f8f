#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What surrounds a session at its start and at its end: the caller's environment and descriptors,
core dumps, host file systems that do not answer, directories that fold case. Each test shows first,
without Pinfold, that the attack works.

usage: start.py --build DIR [--log FILE] [TEST...]      (root, in a virtual machine)
"""

import argparse
import atexit
import ctypes
import json
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import unittest

from driver import audit, daemon, wait, world

TOP = "/srv/pfs"
POLICY, DATABASE_POLICY = "pfs", "pfs-database"
SECONDS, START_SECONDS = 120, 240
MNT_DETACH = 2
POLICY_TEXT = """\
pinfold: 1
name: {name}
files:
  read: [ {read} ]
  write: [ {write} ]
{more}"""


def write_policy(name, read, write, more=""):
    path = f"/etc/pinfold/policies.d/{name}.yaml"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as f:
        f.write(POLICY_TEXT.format(name=name, read=", ".join(read), write=", ".join(write),
                                   more=more))
    os.chmod(path, 0o644)


def become(uid):
    entry = pwd.getpwuid(uid)
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)

    def step_down():
        if uid:
            os.setgroups(groups)
            os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
            os.setresuid(uid, uid, uid)
    return step_down


def outside(*command, uid=0, **more):
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=f"{TOP}/work",
                          preexec_fn=become(uid), timeout=SECONDS, **more)


def inside(*command, policy=POLICY, uid=0, options=(), **more):
    return outside("pinfold", "run", "--policy", policy, *options, "--", *command, uid=uid, **more)


def put(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def get(path):
    with open(path, encoding="ascii") as f:
        return f.read()


class Case(unittest.TestCase):
    """The uids that a test is done as: an ordinary one, and root."""

    uids = (world.UID, 0)

    def works(self, done):
        self.assertEqual(done.returncode, 0, f"{done.args}: {done.stderr}")
        return done.stdout


class Environment(Case):
    """The caller's environment is the command's, and nobody else's."""

    library = f"{world.TOOLS}/preload.so"

    def hostile(self, log):
        put(log, "")
        os.chmod(log, 0o666)
        return {"LD_PRELOAD": self.library, "LD_AUDIT": self.library,
                "LD_LIBRARY_PATH": f"{TOP}/work", "PF_PRELOAD_LOG": log,
                "GLIBC_TUNABLES": "glibc.malloc.check=3:glibc.malloc.perturb=255",
                "MALLOC_PERTURB_": "255", "BASH_ENV": "/dev/stdin", "ENV": "/dev/stdin"}

    def loaded(self, log):
        return set(get(log).split())

    def test_preload(self):
        log = f"{TOP}/work/preload.log"
        program = os.path.realpath("/usr/bin/env")
        for uid in self.uids:
            env = self.hostile(log)
            told = self.works(outside("/usr/bin/env", uid=uid, env={**os.environ, **env}))
            self.assertEqual(self.loaded(log), {program})
            self.assertIn("MALLOC_PERTURB_=255\n", told)
            env = self.hostile(log)
            words = [word for k, v in env.items() for word in ("-e", f"{k}={v}")]
            told = self.works(inside("/usr/bin/env", uid=uid, options=words))
            self.assertTrue({f"{k}={v}" for k, v in env.items()} <= set(told.split("\n")), told)
            self.assertEqual(self.loaded(log), {program})

    def test_search_path(self):
        """The command is looked for where the caller's PATH says."""
        tools = f"{TOP}/tools"
        for uid in self.uids:
            done = inside("pf-here", uid=uid, env={"PATH": f"{tools}:{os.environ['PATH']}"})
            self.assertEqual(self.works(done), "here\n")
            self.assertEqual(inside("pf-here", uid=uid).returncode, 127)


class Cores(Case):
    """No memory of a session, or of Pinfold's own processes, in a core."""

    pattern = "/proc/sys/kernel/core_pattern"
    seen = f"{TOP}/cores.seen"
    crash = "kill -SEGV $$"

    def setUp(self):
        self.before = get(self.pattern)
        put(self.seen, "")

    def tearDown(self):
        put(self.pattern, self.before)

    def mark(self, name, limit="0"):
        """Crash outside, and wait until the helper has seen it: it saw all that came before."""
        outside("sh", "-c", f"ulimit -c {limit}; cp /bin/sh {TOP}/work/{name}; "
                f"exec {TOP}/work/{name} -c '{self.crash}'")
        self.assertTrue(wait.until(lambda: name in get(self.seen).split(), SECONDS),
                        "the helper never ran")

    def sessions_crash(self):
        for uid in self.uids:
            for before in ("", "ulimit -c 0; ", "ulimit -H -c 0; ", "ulimit -c unlimited; "):
                done = inside("sh", "-c", before + self.crash, uid=uid)
                self.assertEqual(done.returncode, 128 + 11, f"{before}: {done.stderr}")

    def test_pipe(self):
        put(self.pattern, f"|{TOP}/tools/core-helper %e")
        self.mark("first")
        self.sessions_crash()
        self.mark("last")
        self.assertEqual(get(self.seen).split(), ["first", "last"])

    def test_file(self):
        put(self.pattern, f"{TOP}/work/core.%e")
        os.chmod(f"{TOP}/work", 0o777)
        outside("sh", "-c", f"ulimit -c unlimited; {self.crash}")
        core = f"{TOP}/work/core.{os.path.basename(os.path.realpath('/bin/sh'))}"
        cores = [n for n in os.listdir(f"{TOP}/work") if n.startswith("core.")]
        self.assertTrue(cores, f"no {core} outside")
        for name in cores:
            os.unlink(f"{TOP}/work/{name}")
        self.sessions_crash()
        self.assertEqual([n for n in os.listdir(f"{TOP}/work") if n.startswith("core.")], [])


    def test_socket(self):
        """Linux 6.16 and later can hand cores to a listening socket, whatever the limit."""
        path = f"{TOP}/cores.sock"
        try:
            put(self.pattern, f"@{path}")
        except OSError:
            self.skipTest("this kernel has no such core_pattern")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            os.chmod(path, 0o777)
            listener.listen()
            self.assertTrue(self.connects(listener))
            self.sessions_crash()  # would wait for an answer, and be killed for that
            self.assertEqual(select.select([listener], [], [], 0)[0], [])
            self.assertTrue(self.connects(listener))
        os.unlink(path)

    def connects(self, listener):
        """Whether a crash outside makes the kernel connect; it waits for an answer then."""
        with subprocess.Popen(["sh", "-c", f"ulimit -c 0; {self.crash}"]) as crashing:
            ready = select.select([listener], [], [], SECONDS)[0]
            if ready:
                listener.accept()[0].close()
            crashing.wait(timeout=SECONDS)
        return bool(ready)

    def test_own(self):
        """Those that hold secrets, or could: pid 1 of a session, its gate, the parser, pinfoldd."""
        put(self.pattern, f"|{TOP}/tools/core-helper %e")
        self.mark("first")
        command = ["pinfold", "run", "--policy", DATABASE_POLICY, "--", "sh", "-c",
                   "echo ready; exec cat"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True, cwd=f"{TOP}/work") as waiting:
            self.assertEqual(waiting.stdout.readline(), "ready\n")
            pids = processes("pinfold-gate") + processes("pinfoldd")
            self.assertGreaterEqual(len(pids), 3, "gate, parser and pinfoldd")
            for pid in pids:
                crash(pid)
            waiting.stdin.close()
            waiting.wait(timeout=SECONDS)
        self.mark("last")
        self.assertEqual(get(self.seen).split(), ["first", "last"])
        start_daemon(self.log)


def processes(name):
    """Ids of the processes of that name that are not zombies."""
    done = subprocess.run(["pgrep", "-x", name], capture_output=True, text=True, check=False)
    return [int(pid) for pid in done.stdout.split()]


def crash(pid):
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return  # went with its parent
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGSEGV)
        select.select([pidfd], [], [], SECONDS)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def start_daemon(log):
    """One that ends before this script does."""
    process = daemon.start(log, START_SECONDS)
    atexit.register(process.wait)
    atexit.register(process.terminate)


MANIFEST = """\
import json, os, resource
fds = {fd: None for fd in os.listdir("/proc/self/fd")}
for fd in list(fds):
    try:
        fds[fd] = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        del fds[fd]  # of the listing
with open("/proc/self/status") as f:
    status = dict(line.strip().partition(":\\t")[::2] for line in f)
def attempt(path, flags):
    try:
        os.close(os.open(path, flags))
        return "ok"
    except OSError as e:
        return e.strerror
files = {path: attempt(path, flags) for path, flags in [
    ("/proc/1/environ", os.O_RDONLY), ("/proc/1/mem", os.O_RDONLY), ("/proc/1/root", os.O_RDONLY),
    ("/proc/1/fd/0", os.O_RDONLY), ("/proc/1/ns/net", os.O_RDONLY), ("/proc/kcore", os.O_RDONLY),
    ("/proc/sysrq-trigger", os.O_WRONLY), ("/proc/sys/kernel/hostname", os.O_WRONLY),
    ("/proc/self/oom_score_adj", os.O_WRONLY)]}
print(json.dumps({"fds": fds, "status": status, "files": files,
                  "pids": [int(n) for n in os.listdir("/proc") if n.isdigit()],
                  "core": resource.getrlimit(resource.RLIMIT_CORE),
                  "files_max": resource.getrlimit(resource.RLIMIT_NOFILE)}))
"""


class Manifest(Case):
    """What a command has at its first instruction: all of it is on this list."""

    def seen(self, run, uid, **more):
        return json.loads(self.works(run("/usr/bin/python3", "-I", "-c", MANIFEST, uid=uid, **more)))

    def look(self, uid):
        """Outside and inside, each with descriptors that the caller left open."""
        with open(f"{TOP}/cores.seen", "w", encoding="ascii") as f, socket.socket() as s:
            more = {"pass_fds": (f.fileno(), s.fileno()), "stdin": subprocess.DEVNULL}
            return self.seen(outside, uid, **more), self.seen(inside, uid, **more)

    def test_descriptors(self):
        for uid in self.uids:
            out, ins = self.look(uid)
            self.assertEqual(len(out["fds"]), 5, out["fds"])
            self.assertEqual(sorted(ins["fds"]), ["0", "1", "2"])

    def test_rights(self):
        for uid in self.uids:
            out, ins = self.look(uid)
            self.assertEqual([out["status"]["NoNewPrivs"], out["status"]["Seccomp"]], ["0", "0"])
            self.assertNotEqual(int(out["status"]["CapBnd"], 16), 0)
            self.assertEqual(int(out["status"]["CapEff"], 16) == 0, uid != 0)
            self.assertEqual([ins["status"]["NoNewPrivs"], ins["status"]["Seccomp"]], ["1", "2"])
            for which in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
                self.assertEqual(int(ins["status"]["Cap" + which], 16), 0, which)
            self.assertEqual(ins["core"], [1, 1])
            self.assertEqual(ins["files_max"], [4096, 4096])

    def test_few_files(self):
        """As few descriptors as a policy may say are enough to start with."""
        write_policy("pfs-files", ["/"], [], "limits: { files: 16 }\n")
        count = ("sh", "-c", "ulimit -H -n")
        for uid in self.uids:
            self.assertNotEqual(self.works(outside(*count, uid=uid)), "16\n")
            self.assertEqual(self.works(inside(*count, policy="pfs-files", uid=uid)), "16\n")

    def test_set_id(self):
        tool = f"{TOP}/tools/set-id"
        self.assertEqual(self.works(outside(tool, "-u", uid=world.UID)), "0\n")
        self.assertEqual(self.works(inside(tool, "-u", uid=world.UID)), f"{world.UID}\n")

    def test_proc(self):
        for uid in self.uids:
            out, ins = self.look(uid)
            self.assertIn(processes("pinfoldd")[0], out["pids"])
            self.assertEqual(len(ins["pids"]), 2, "pid 1 and the command")
            if uid == 0:
                # what those two are depends on the machine
                depends = ("/proc/kcore", "/proc/1/fd/0")
                self.assertEqual({r for p, r in out["files"].items() if p not in depends}, {"ok"})
            self.assertEqual([p for p, r in ins["files"].items() if r == "ok"], [])


class NoAnswer(Case):
    """A file system of the host whose server is dead: reads of it wait for ever."""

    def mount(self, path):
        os.makedirs(path, exist_ok=True)
        subprocess.run(["modprobe", "fuse"], check=False)  # or built in
        device = os.open("/dev/fuse", os.O_RDWR)
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
        if libc.mount(b"pfs-dead", path.encode(), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.addCleanup(os.close, device)  # that ends all that waits
        self.addCleanup(libc.umount2, path.encode(), MNT_DETACH)
        with subprocess.Popen(["stat", path], stdout=subprocess.DEVNULL) as waiting:
            with self.assertRaises(subprocess.TimeoutExpired):
                waiting.wait(timeout=5)
            waiting.kill()

    def test_somewhere(self):
        """The session does without, and the log says so."""
        path = f"{TOP}/dead"
        self.mount(path)
        log = audit.Log()
        for uid in self.uids:
            log.skip()
            self.works(inside("true", uid=uid))
            told = [r["text"] for r in log.records() if r.get("event") == "no-answer"]
            self.assertEqual([path in text for text in told], [True])

    def test_named(self):
        """A policy that names it cannot hold; others can meanwhile."""
        path = f"{TOP}/dead"
        self.mount(path)
        write_policy("pfs-dead", ["/", path], [f"{TOP}/work"])
        with subprocess.Popen(["pinfold", "run", "--policy", "pfs-dead", "--", "true"],
                              stderr=subprocess.PIPE, text=True, cwd=f"{TOP}/work") as starting:
            self.works(inside("true"))
            _, said = starting.communicate(timeout=SECONDS)
        self.assertEqual(starting.returncode, 125, said)
        self.assertIn(path, said)

    def test_homes(self):
        """Where the secrets of the homes are cannot be known: no session, and pinfoldd answers."""
        self.mount("/home")
        done = inside("true")
        self.assertEqual(done.returncode, 125)
        self.assertIn("/home", done.stderr)
        self.works(outside("pinfold", "ps", "--json"))


class Homes(Case):
    """Every home in /home has secrets; a session that could not deny them all does not start."""

    most = 1024

    def refused(self, why):
        done = inside("true")
        self.assertEqual(done.returncode, 125)
        self.assertIn(why, done.stderr)

    def test_most(self):
        world.run("mount", "-t", "tmpfs", "homes", "/home")
        self.addCleanup(world.run, "umount", "/home")
        for n in range(self.most):
            os.mkdir(f"/home/{n}")
            put(f"/home/{n}/.netrc", "secret\n")
        last = ("sh", "-c", "cat /home/*/.netrc")
        self.assertEqual(self.works(outside(*last)), "secret\n" * self.most)
        done = inside(*last)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.works(inside("true"))
        os.mkdir(f"/home/{self.most}")
        self.refused(f"/home has more than {self.most} names")


class Casefold(Case):
    """Directories in which .GIT is .git: what is denied by name would have other names there."""

    top = f"{TOP}/folding"

    @classmethod
    def setUpClass(cls):
        image = f"{TOP}/folding.img"
        with open(image, "wb") as f:
            f.truncate(16 << 20)
        os.makedirs(cls.top)
        world.run("modprobe", "loop", check=False)
        world.run("mkfs.ext4", "-q", "-F", "-O", "casefold", image)
        world.run("mount", "-o", "loop", image, cls.top)
        for name in ("plain", "folds"):
            os.mkdir(f"{cls.top}/{name}")
        world.run("chattr", "+F", f"{cls.top}/folds")
        for name in ("plain", "folds"):
            os.makedirs(f"{cls.top}/{name}/empty")
            os.chmod(f"{cls.top}/{name}", 0o777)
            os.chown(f"{cls.top}/{name}/empty", world.UID, -1)

    @classmethod
    def tearDownClass(cls):
        world.run("umount", cls.top)

    def deny(self, name):
        path = f"{self.top}/{name}"
        write_policy(f"pfs-{name}", ["/"], [path], f"  deny: [ {path}/.git ]\n")
        return f"pfs-{name}", ("sh", "-c", f"echo x >{path}/.GIT")

    def test_refused(self):
        put(f"{self.top}/folds/.Twin", "x")
        self.assertTrue(os.path.exists(f"{self.top}/folds/.TWIN"))
        policy, write = self.deny("folds")
        done = inside(*write, policy=policy)
        self.assertEqual(done.returncode, 125)
        self.assertIn("upper and lower case", done.stderr)
        self.assertFalse(os.path.exists(f"{self.top}/folds/.git"))

    def test_plain(self):
        policy, write = self.deny("plain")
        self.works(inside(*write, policy=policy))
        self.assertTrue(os.path.exists(f"{self.top}/plain/.GIT"))
        done = inside("sh", "-c", f"echo x >{self.top}/plain/.git", policy=policy)
        self.assertNotEqual(done.returncode, 0)
        self.assertFalse(os.path.exists(f"{self.top}/plain/.git"))

    def test_later(self):
        """A session makes no directory so, not even one of its own."""
        policy, _ = self.deny("plain")
        path = f"{self.top}/plain/empty"
        for uid in self.uids:
            done = inside("chattr", "+F", path, policy=policy, uid=uid)
            self.assertNotEqual(done.returncode, 0)
            self.works(outside("chattr", "+F", path, uid=uid))
            self.works(outside("chattr", "-F", path, uid=uid))


class VarTmp(Case):
    """Where /var/tmp is a link, the filesystem that it leads to does not become the session's."""

    disk, below = f"{TOP}/disk", ""

    def setUp(self):
        os.makedirs(self.disk)
        world.run("mount", "-t", "tmpfs", "-o", "mode=1777", "disk", self.disk)
        os.makedirs(self.disk + self.below, exist_ok=True)
        os.chmod(self.disk + self.below, 0o1777)
        shutil.rmtree("/var/tmp")
        os.symlink(self.disk + self.below, "/var/tmp")

    def tearDown(self):
        os.unlink("/var/tmp")
        os.mkdir("/var/tmp")
        os.chmod("/var/tmp", 0o1777)
        world.run("umount", self.disk)
        os.rmdir(self.disk)


class LinkedVarTmp(VarTmp):
    def test_denied(self):
        write_policy("pfs-few", ["/usr", "/etc"], [f"{TOP}/work"])
        for uid in self.uids:
            for path in (f"{self.disk}/x", "/var/tmp/x"):
                write = ("sh", "-c", f"echo x >{path}")
                self.works(outside(*write, uid=uid))
                os.unlink(path)
                done = inside(*write, policy="pfs-few", uid=uid)
                self.assertNotEqual(done.returncode, 0)
                self.assertFalse(os.path.exists(path), done.stderr)
            self.works(inside("sh", "-c", "echo x >/tmp/x", policy="pfs-few", uid=uid))

    def test_named(self):
        """What a policy names behind the link is there already: nothing is mounted on the host's
        directories."""
        os.mkdir(f"{self.disk}/shown")
        put(f"{self.disk}/shown/file", "shown\n")
        path = f"{TOP}/work/own.yaml"
        put(path, POLICY_TEXT.format(name="own", read="/, /var/tmp/shown", write="", more=""))
        look = ("sh", "-c", f"cat /var/tmp/shown/file; grep -c {self.disk}/shown "
                "/proc/self/mountinfo")
        for uid in self.uids:
            self.assertEqual(outside(*look, uid=uid).stdout, "shown\n0\n")
            done = inside(*look, policy=path, uid=uid)
            self.assertEqual(done.stdout, "shown\n0\n", done.stderr)


class ShownVarTmp(VarTmp):
    """... not even when the policy shows in the session what the link leads to."""

    disk, below = "/run/pfs-disk", "/tmp"
    keys = "/root/.ssh/keys"

    def test_shown(self):
        os.mkdir(f"{self.disk}/keys")
        put(f"{self.disk}/keys/id", "secret\n")
        put(f"{self.disk}/tmp/file", "shown\n")
        os.makedirs(self.keys, exist_ok=True)
        world.run("mount", "--bind", f"{self.disk}/keys", self.keys)
        self.addCleanup(world.run, "umount", self.keys)
        write_policy("pfs-shown", ["/", f"{self.disk}/tmp"], [f"{TOP}/work"])
        read, write = ("cat", f"{self.keys}/id"), ("sh", "-c", f"echo x >{self.keys}/id")
        self.assertEqual(self.works(outside(*read)), "secret\n")
        self.works(outside("sh", "-c", f"echo secret >{self.keys}/id"))
        shown = inside("cat", f"{self.disk}/tmp/file", policy="pfs-shown")
        self.assertEqual(self.works(shown), "shown\n")
        for attack in (read, write):
            done = inside(*attack, policy="pfs-shown")
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(done.stdout, "")
        self.assertEqual(get(f"{self.keys}/id"), "secret\n")


def prepare(build):
    world.make_user()
    for name, mode in (("work", 0o777), ("tools", 0o755)):
        os.makedirs(f"{TOP}/{name}", exist_ok=True)
        os.chmod(f"{TOP}/{name}", mode)
    os.makedirs(world.TOOLS, exist_ok=True)
    shutil.copy(f"{build}/test/preload.so", world.TOOLS)
    for name, text in (("pf-here", "#!/bin/sh\necho here\n"),
                       ("core-helper", f"#!/bin/sh\ncat >/dev/null\necho $1 >>{TOP}/cores.seen\n")):
        put(f"{TOP}/tools/{name}", text)
        os.chmod(f"{TOP}/tools/{name}", 0o755)
    shutil.copy("/usr/bin/id", f"{TOP}/tools/set-id")
    os.chmod(f"{TOP}/tools/set-id", 0o4755)
    write_policy(POLICY, ["/"], [f"{TOP}/work"])
    world.make_password()
    write_policy(DATABASE_POLICY, ["/"], [f"{TOP}/work"], world.DATABASE)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--log", default="/tmp/pinfoldd.log")
    parser.add_argument("tests", nargs="*")
    args = parser.parse_args()
    prepare(args.build)
    start_daemon(args.log)
    Cores.log = args.log
    names = [f"start.{t}" for t in args.tests] or ["start"]
    sys.modules["start"] = sys.modules["__main__"]
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, "
          f"{len(result.skipped)} skipped")
    sys.exit(bad > 0 or result.testsRun == 0)


if __name__ == "__main__":
    main()
