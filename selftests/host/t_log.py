# SPDX-License-Identifier: Apache-2.0
"""The audit log: real logrotate, and no space left."""

import errno
import gzip
import json
import os
import subprocess

from host import (CANARY, LOG, UNIT, check, equal, must, pinfold_run, records, run, systemctl, unit,
                  until)
from suite import test

FULL = "/var/log/pinfold"


def all_lines():
    """Every record of the log and of what was rotated, oldest first."""
    lines = []
    number = 1
    while os.path.exists(f"{LOG}.{number}") or os.path.exists(f"{LOG}.{number}.gz"):
        number += 1
    for n in range(number - 1, 0, -1):
        if os.path.exists(f"{LOG}.{n}.gz"):
            with gzip.open(f"{LOG}.{n}.gz", "rt") as f:
                lines += f.read().splitlines()
        else:
            with open(f"{LOG}.{n}", encoding="utf-8") as f:
                lines += f.read().splitlines()
    with open(LOG, encoding="utf-8") as f:
        lines += f.read().splitlines()
    return [json.loads(line) for line in lines]


def gaps(lines):
    """Where a number does not follow the one before."""
    return [(a["seq"], b["seq"]) for a, b in zip(lines, lines[1:]) if b["seq"] != a["seq"] + 1]


def last_seq():
    return records()[-1]["seq"]


# Denials one after another, each of another name, at a pace that a slow machine's log keeps.
NOISE = f'i=0; while :; do i=$((i+1)); (echo x >{CANARY}-$i) 2>/dev/null; sleep 0.05; done'


def rotate():
    """As cron does; when the daemon writes to the new file it is over."""
    before = os.stat(LOG).st_ino
    must(["logrotate", "-f", "/etc/logrotate.d/pinfold"])
    check(os.stat(LOG).st_ino != before, "logrotate rotated nothing")
    until(lambda: any(r.get("event") == "log-reopened" for r in records()),
          "the daemon goes on in the new file", 60)


@test("log: rotated by logrotate while it is written, no line is lost and the numbers go on")
def rotation(world):
    world.live.held()
    equal(gaps(all_lines()), [], "gaps before")
    first = last_seq()
    with subprocess.Popen(["pinfold", "run", "--policy", "host", "--", "sh", "-c", NOISE], cwd="/",
                          stderr=subprocess.DEVNULL) as noisy:
        for _ in range(3):
            seq = last_seq()
            until(lambda: last_seq() > seq + 3, "the log grows")  # pylint: disable=cell-var-from-loop
            rotate()
        noisy.terminate()
        noisy.wait(120)
    lines = all_lines()
    equal(gaps(lines), [], "gaps")
    equal(sum(r.get("event") == "log-reopened" for r in lines), 3, "log-reopened records")
    check(lines[-1]["seq"] > first + 9, "records of what happened meanwhile")
    check(os.path.exists(f"{LOG}.2.gz") and os.path.exists(f"{LOG}.1"), "names of rotated files")
    equal(os.stat(LOG).st_mode & 0o777, 0o600, "mode of the new file")
    systemctl("stop", UNIT)
    must(["logrotate", "-f", "/etc/logrotate.d/pinfold"])
    systemctl("start", UNIT)  # the new file is empty: its numbers come from the one before
    world.live.held()
    equal(gaps(all_lines()), [], "gaps after a rotation without a daemon")


@test("log: a rotation that cannot tell the daemon fails")
def unheard(world):
    world.live.held()
    with open("/etc/logrotate.d/pinfold", encoding="utf-8") as f:
        text = f.read()
    other = f"{os.getcwd()}/logrotate.conf"
    for signal, status in (("HUP", 0), ("NONE", 1)):
        with open(other, "w", encoding="utf-8") as f:
            f.write(text.replace("--signal=HUP", f"--signal={signal}"))
        equal(run(["logrotate", "-f", other]).returncode, status, f"logrotate with signal {signal}")
    must(["systemctl", "kill", "--kill-whom=main", "--signal=HUP", UNIT])
    until(lambda: any(r.get("event") == "log-reopened" for r in records()), "the new file is used")
    equal(gaps(all_lines()), [], "gaps")


def fill():
    with open(f"{FULL}/filler", "wb", buffering=0) as f:
        try:
            while f.write(b"x" * 4096):
                pass
        except OSError as e:
            equal(e.errno, errno.ENOSPC, "why it is full")


def but_torn():
    """The records; what was cut off where the space ended is a line of its own, of no record."""
    lines, torn = [], 0
    with open(LOG, encoding="utf-8") as f:
        for line in f:
            try:
                lines.append(json.loads(line))
            except ValueError:
                torn += 1
    check(torn <= 1, f"{torn} lines are not JSON")
    return lines


def log_state():
    doctor = json.loads(run(["pinfold", "doctor", "--json"]).stdout)
    return next(c for c in doctor["checks"] if c["name"] == "audit log")["ok"]


@test("log: no space left: no new sessions, those that run go on, and the loss is on record")
def full(world):
    live = world.live
    systemctl("stop", UNIT)
    must(["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "pinfold-log", FULL])
    try:
        systemctl("start", UNIT)
        daemon = unit("MainPID")
        equal(pinfold_run("host", "echo", "in").stdout, "in\n", "twin: with space")
        check(log_state(), "doctor complains of a log that can be written")
        fill()

        # Denials fill what is left of the last page.
        live.ask(f"for i in $(seq 20); do (echo x >{CANARY}-$i); done")
        until(lambda: not log_state(), "doctor tells of a log that cannot be written")
        r = pinfold_run("host", "echo", "in")
        equal((r.returncode, r.stdout), (125, ""), "a session without a log")
        for word in ("audit log", LOG, "No space left on device", "sessions that run go on"):
            check(word in r.stderr, f"run does not say {word!r}: {r.stderr!r}")
        live.held()
        os.unlink(f"{FULL}/filler")
        equal(pinfold_run("host", "echo", "in").stdout, "in\n", "a session when there is space again")
        check(log_state(), "doctor still complains")
        lines = but_torn()
        losses = [r for r in lines if r["type"] == "loss"]
        check(losses and losses[0]["error"] == "ENOSPC", f"the loss is not on record: {losses}")
        missing = sum(b - a - 1 for a, b in gaps(lines))
        equal(sum(r["count"] for r in losses), missing, "records that are counted as lost")
        equal(unit("MainPID"), daemon, "the daemon")
    finally:
        systemctl("stop", UNIT)
        must(["umount", FULL])
        systemctl("start", UNIT)
    live.held()
