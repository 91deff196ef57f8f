# SPDX-License-Identifier: Apache-2.0
"""The installed product as its users have it: a daemon, sessions, the log, a database server."""

import json
import os
import pathlib
import pwd
import select
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "common"))
import auditlog  # noqa: E402

SECONDS = 90
START_SECONDS = 240
LOG = auditlog.PATH
POLICIES = "/etc/pinfold/policies.d"
BASE = "/srv/pf-daemon"
PGBIN = "/usr/lib/postgresql/15/bin"
PGHOME = f"{BASE}/pg"
USER = "pfuser"
DATABASES = ("databases:\n  - { name: orders, type: postgres, address: '10.77.0.9:5432', "
             "database: postgres, user: postgres, tls: off }\n")


def run(*argv, timeout=SECONDS, **kw):
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False, **kw)


def checked(*argv, **kw):
    done = run(*argv, **kw)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: status {done.returncode}: {done.stderr}")
    return done.stdout


def wait_until(condition, seconds=SECONDS):
    """What condition() returns once it is true; an error when the time is over."""
    deadline = time.monotonic() + seconds
    while (began := time.monotonic()) < deadline:
        value = condition()
        if value:
            return value
        # between two looks at a condition that has a deadline
        time.sleep(max(0.02, time.monotonic() - began))
    raise TimeoutError("waited in vain")


def as_user():
    entry = pwd.getpwnam(USER)
    groups = [int(g) for g in checked("id", "-G", USER).split()]

    def step_down():
        os.setgroups(groups)
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    return step_down


class Daemon:
    def __init__(self, *options):
        self.options = options
        self.process = None

    def start(self):
        with open(f"{BASE}/pinfoldd.log", "ab") as log:
            self.process = subprocess.Popen(["pinfoldd", *self.options], stderr=log)
        wait_until(lambda: run("pinfold", "ps", "--json").returncode == 0,
                   START_SECONDS)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Session:
    """pinfold run; input and output are pipes, errors go to a file: nobody reads them on the way."""

    def __init__(self, *argv, policy="free", user=False, options=()):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            ["pinfold", "run", "--policy", policy, *options, "--", *argv],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            cwd=BASE, preexec_fn=as_user() if user else None)

    def line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS)
        if not ready:
            raise TimeoutError("the session says nothing")
        return self.process.stdout.readline().rstrip("\n")

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self):
        """(status, what is left of its output, errors)"""
        out, _ = self.process.communicate(timeout=SECONDS)
        self.errors.seek(0)
        return self.process.returncode, out, self.errors.read()


def sessions(everything=False):
    options = ["--all"] if everything else []
    return json.loads(checked("pinfold", "ps", "--json", *options))["sessions"]


def find(name):
    return next((s for s in sessions(True) if s.get("name") == name), None)


_logs = {LOG: auditlog.Log()}


def records(path=LOG):
    return _logs.setdefault(path, auditlog.Log(path)).records()


def ended(session):
    """The record of a session's end, once it is there."""
    return wait_until(lambda: next(
        (r for r in records() if r.get("session") == session and r.get("event") == "ended"), None))


def policy(name, text="", write=()):
    os.makedirs(POLICIES, exist_ok=True)
    with open(f"{POLICIES}/{name}.yaml", "w", encoding="utf-8") as f:
        f.write(f"pinfold: 1\nname: {name}\nfiles:\n  read: [ / ]\n"
                f"  write: [ {', '.join(write)} ]\n{text}")
    os.chmod(f"{POLICIES}/{name}.yaml", 0o644)


def prepare():
    _logs[LOG].skip()
    os.makedirs(BASE, exist_ok=True)
    checked("groupadd", "-f", "pinfold")
    run("useradd", "--no-create-home", "--groups", "pinfold", USER)
    policy("free")


def postgres():
    """A server with the table t, and the policy "db" that leads to it: one for all tests."""
    home = PGHOME
    if os.path.exists(home):
        return
    checked("install", "-d", "-o", "postgres", "-m", "0700", home)
    as_pg = ["runuser", "-u", "postgres", "--"]
    with open("build/pgdata.tar", "rb") as data:
        checked(*as_pg, "tar", "-x", "-C", home, stdin=data)
    with open(f"{home}/postgresql.conf", "a", encoding="ascii") as f:
        f.write("listen_addresses = '10.77.0.9'\nfsync = off\n"
                f"unix_socket_directories = '{home}'\n")
    with open(f"{home}/pg_hba.conf", "a", encoding="ascii") as f:
        f.write("host postgres all all trust\n")
    checked("ip", "addr", "add", "10.77.0.9/32", "dev", "lo")
    checked(*as_pg, f"{PGBIN}/pg_ctl", "-D", home, "-l", f"{home}/log", "-s", "-w", "start",
            timeout=START_SECONDS)
    checked(*as_pg, "psql", "-qX", "-h", home, "-c", "create table t (a int)")
    policy("db", DATABASES)


class Endless:
    """A statement that ends with close(): it waits for a lock, and costs nobody a processor."""

    TEXT = "select count(*) from t as awaited"
    WHERE = "state = 'active' and query like '%t as awaited'"

    def __init__(self):
        postgres()
        self._holder = subprocess.Popen(
            ["runuser", "-u", "postgres", "--", "psql", "-qXAt", "-h", PGHOME], cwd="/",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._holder.stdin.write("begin; lock table t; select 'locked';\n")
        self._holder.stdin.flush()
        if self._holder.stdout.readline() != "locked\n":
            raise RuntimeError("the table cannot be locked")

    def close(self):
        self._holder.communicate()

    @staticmethod
    def _ask(sql):
        return checked("runuser", "-u", "postgres", "--", "psql", "-qXAt", "-h", PGHOME, "-c", sql)

    def running(self):
        """How many of it."""
        return int(self._ask(f"select count(*) from pg_stat_activity where {self.WHERE}"))

    def terminate(self):
        self._ask(f"select pg_terminate_backend(pid) from pg_stat_activity where {self.WHERE}")
