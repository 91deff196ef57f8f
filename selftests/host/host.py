# SPDX-License-Identifier: Apache-2.0
"""The installed product on a machine with systemd: what the tests of this folder share."""

import json
import os
import pathlib
import pwd
import re
import select
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "common"))
import auditlog  # noqa: E402

LOG = auditlog.PATH
SLICE = "/sys/fs/cgroup/pinfold.slice"
PINS = "/sys/fs/bpf/pinfold"
POLICIES = "/etc/pinfold/policies.d"
WORK = "/srv/pinfold-host"
CANARY = "/etc/pinfold-canary"
USER = "pfhost"
UNIT = "pinfoldd.service"
# Patience, not a measure: a machine under emulation beside others may be very slow.
SECONDS = 300
os.environ["SYSTEMD_BUS_TIMEOUT"] = f"{SECONDS}s"


class Failure(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failure(what)


def equal(got, want, what):
    check(got == want, f"{what}: {got!r}, not {want!r}")


def until(condition, what, seconds=SECONDS):
    """What condition() says once it is true."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        value = condition()
        if value:
            return value
        check(time.monotonic() < deadline, f"never: {what}")
        # between two looks at a condition that has a deadline
        time.sleep(max(0.05, time.monotonic() - began))


def run(argv, **kw):
    kw.setdefault("stdin", subprocess.DEVNULL)
    kw.setdefault("cwd", WORK)
    kw.setdefault("timeout", SECONDS * 5)
    return subprocess.run(argv, capture_output=True, text=True, check=False, **kw)


def must(argv, **kw):
    r = run(argv, **kw)
    equal(r.returncode, 0, f"{' '.join(argv)}: {r.stderr}")
    return r.stdout


def as_user():
    """Arguments of Popen for the ordinary user of the tests."""
    pw = pwd.getpwnam(USER)
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": WORK, "USER": USER, "LOGNAME": USER,
           "LANG": "C.UTF-8", "TERM": "dumb", "PS1": "$ "}
    groups = os.getgrouplist(USER, pw.pw_gid)
    return {"user": pw.pw_uid, "group": pw.pw_gid, "extra_groups": groups, "env": env}


def policy(name, text=""):
    with open(f"{POLICIES}/{name}.yaml", "w", encoding="utf-8") as f:
        f.write(f"pinfold: 1\nname: {name}\nfiles: {{ write: [ {WORK} ] }}\n{text}\n")


def pinfold_run(name, *argv, session=None, **kw):
    named = ["--name", session] if session else []
    return run(["pinfold", "run", "--policy", name, *named, "--", *argv], **kw)


# --- What Pinfold says.

def sessions():
    return json.loads(must(["pinfold", "ps", "-a", "--json"]))["sessions"]


def session(name):
    """The newest session of this name."""
    return next((s for s in reversed(sessions()) if s.get("name") == name), None)


_logs = {}


def records(path=LOG):
    return _logs.setdefault(path, auditlog.Log(path)).records()


def events(session_id, event):
    return [r for r in records() if r["type"] == "session" and r.get("session") == session_id
            and r.get("event") == event]


def answers():
    return run(["pinfold", "ps", "--json"]).returncode == 0


# --- The unit.

def unit(key):
    return must(["systemctl", "show", "-P", key, UNIT]).strip()


def systemctl(*words):
    return must(["systemctl", *words])


def journal():
    return must(["journalctl", "-q", "-o", "cat", "-u", UNIT, "--no-pager"])


# --- A session that goes on beside what is tried.

class Live:
    """A shell in a session of root's, told what to do line by line."""

    def __init__(self, name, policy_name="host"):
        self.name = name
        self.process = subprocess.Popen(
            ["pinfold", "run", "--policy", policy_name, "--name", name, "--", "/bin/sh"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=WORK)
        self._text = b""
        self.count = 0

    def _line(self):
        deadline = time.monotonic() + SECONDS
        while b"\n" not in self._text:
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.process.stdout], [], [], left)[0]
            check(ready, f"session {self.name} says nothing")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise Failure(f"session {self.name} ended, with {self.process.wait(SECONDS)}")
            self._text += data
        line, self._text = self._text.split(b"\n", 1)
        return line.decode()

    def ask(self, command):
        """(exit status, output) of a command."""
        self.count += 1
        mark = f"end-{self.count}"
        self.process.stdin.write(f"{{ {command}\n}} 2>&1; echo {mark} $?\n".encode())
        self.process.stdin.flush()
        lines = []
        while True:
            line = self._line()
            m = re.search(rf"{mark} (\d+)$", line)
            if m:
                return int(m[1]), "\n".join(lines + [line[:m.start()]])
            lines.append(line)

    def held(self):
        """It lives, may write where it may, and is refused what it is refused."""
        status, text = self.ask(f"echo x >{WORK}/live && cat {WORK}/live")
        equal((status, text.strip()), (0, "x"), f"session {self.name} works")
        status, text = self.ask(f"echo x >{CANARY}")
        check(status != 0 and not os.path.exists(CANARY),
              f"session {self.name} wrote {CANARY}: {status} {text}")

    def id(self):
        return session(self.name)["id"]

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(SECONDS)
        self.process.stdout.close()
        return status
