# SPDX-License-Identifier: Apache-2.0
"""A session that reaches a limit of its policy: it ends, or is refused, alone, and is told why."""

import os
import subprocess

from host import (CANARY, SLICE, check, equal, events, must, pinfold_run, policy, run, session,
                  unit, until)
from suite import test

EAT = ("/usr/bin/python3", "-c", "import sys; x = b'x' * (int(sys.argv[1]) << 20); print(len(x))")
# Children that wait, until there is no more room; how many there were.
FORK = ("/usr/bin/python3", "-c", """
import errno, os, signal, sys
children, error = [], 0
while len(children) < int(sys.argv[1]) and not error:
    try:
        pid = os.fork()
    except OSError as e:
        error = e.errno
        continue
    if pid == 0:
        signal.pause()
        os._exit(0)
    children.append(pid)
for pid in children:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
print(len(children), errno.errorcode.get(error, "-"))
""")
# Tries as often as it is told to write what it may not.
DENIED = f'i=0; while [ $i -ne $0 ]; do (echo x >{CANARY}) 2>/dev/null; i=$((i+1)); done; echo done'


def told(name, result, reason):
    """ps, the end of run and the log agree on why it ended."""
    check(reason in result.stderr, f"run does not say {reason!r}: {result.stderr!r}")
    s = session(name)
    equal(s["state"], "ended", f"state of {name}")
    check(reason in s["reason"], f"ps does not say {reason!r}: {s['reason']!r}")
    ends = events(s["id"], "ended")
    check(len(ends) == 1 and reason in ends[0]["reason"], f"the log does not say {reason!r}: {ends}")
    check(not os.path.exists(f"{SLICE}/{s['id']}"), f"the cgroup of {name} is still there")


def others_live(world, daemon):
    world.live.held()
    equal((unit("MainPID"), unit("ActiveState"), unit("NRestarts")), (daemon, "active", "0"),
          "the daemon")


@test("limits: out of memory ends the session alone, and all agree on why")
def memory(world):
    policy("small", "limits: { memory: 64Mi }")
    daemon = unit("MainPID")
    world.live.held()
    equal(run([*EAT, "200"]).stdout, f"{200 << 20}\n", "baseline")
    r = pinfold_run("small", *EAT, "20", session="fits")
    equal((r.returncode, r.stdout), (0, f"{20 << 20}\n"), "twin: what fits")
    r = pinfold_run("small", *EAT, "200", session="eats")
    equal((r.returncode, r.stdout), (137, ""), "the exit status of a session without memory")
    told("eats", r, "out of memory: the limit of the policy was reached")
    others_live(world, daemon)


@test("limits: the time is up")
def time_limit(world):
    policy("short", "limits: { time: 2s }")
    daemon = unit("MainPID")
    r = pinfold_run("short", "true", session="in-time")
    equal(r.returncode, 0, "twin: a command that is in time")
    r = pinfold_run("short", "sleep", "1000", session="late")
    equal(r.returncode, 137, "the exit status of a session that was too late")
    told("late", r, "time limit of the policy reached")
    others_live(world, daemon)


@test("limits: no more processes than the policy says")
def processes(world):
    policy("few", "limits: { processes: 24 }")
    daemon = unit("MainPID")
    equal(run([*FORK, "60"]).stdout, "60 -\n", "baseline")
    equal(pinfold_run("host", *FORK, "60").stdout, "60 -\n", "twin: a policy that has room")
    r = pinfold_run("few", *FORK, "60")
    equal(r.returncode, 0, f"the session goes on at its limit: {r.stderr}")
    equal(r.stdout, "23 EAGAIN\n", "children of a command that may have 24 processes with itself")
    others_live(world, daemon)


@test("limits: a fork bomb hurts nobody else, and nothing of it stays")
def fork_bomb(world):
    policy("bomb", "limits: { processes: 64, time: 5s, cpu: 0.5 }")
    daemon = unit("MainPID")
    with subprocess.Popen(["pinfold", "run", "--policy", "bomb", "--name", "bomb", "--", "bash",
                           "-c", "f() { f | f & f; }; f 2>/dev/null"], cwd="/",
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as p:
        until(lambda: (session("bomb") or {}).get("state") == "running", "the bomb runs")
        s = session("bomb")

        def full():
            try:
                with open(f"{SLICE}/{s['id']}/agent/pids.events", encoding="ascii") as f:
                    return int(f.read().split()[1]) > 0
            except FileNotFoundError:
                return True  # it is over
        until(full, "the bomb reaches its limit")
        world.live.held()
        _, stderr = p.communicate(timeout=120)
        result = subprocess.CompletedProcess(p.args, p.returncode, "", stderr)
    told("bomb", result, "time limit of the policy reached")
    others_live(world, daemon)


@test("limits: too many denials end the session")
def violations_kill(world):
    policy("strict", "violations: { threshold: 5, action: kill }")
    daemon = unit("MainPID")
    r = pinfold_run("strict", "sh", "-c", DENIED, "3", session="careful")
    equal((r.returncode, r.stdout), (0, "done\n"), "twin: fewer denials than that")
    r = pinfold_run("strict", "sh", "-c", DENIED, "-1", session="rude")
    equal((r.returncode, r.stdout), (137, ""), "the exit status")
    told("rude", r, "too many denials")
    others_live(world, daemon)


@test("limits: too many denials freeze the session")
def violations_freeze(world):
    policy("ice", "violations: { threshold: 5, action: freeze }")
    daemon = unit("MainPID")
    r = pinfold_run("ice", "sh", "-c", DENIED, "3", session="careful")
    equal((r.returncode, r.stdout), (0, "done\n"), "twin: fewer denials than that")
    with subprocess.Popen(["pinfold", "run", "--policy", "ice", "--name", "frozen", "--", "sh", "-c",
                           DENIED, "-1"], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as p:
        until(lambda: (session("frozen") or {}).get("state") == "quarantined", "it is quarantined")
        s = session("frozen")
        with open(f"{SLICE}/{s['id']}/agent/cgroup.events", encoding="ascii") as f:
            check("frozen 1" in f.read(), "its processes are not frozen")
        equal(len(events(s["id"], "frozen")), 1, "records of it")
        must(["pinfold", "kill", "frozen"])
        stdout, stderr = p.communicate(timeout=120)
        equal((p.returncode, stdout), (137, ""), f"the end of a frozen session: {stderr}")
    equal(session("frozen")["state"], "ended", "the state")
    others_live(world, daemon)
