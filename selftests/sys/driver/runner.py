# SPDX-License-Identifier: Apache-2.0
"""Runs the attacker with a plan in one mode and collects what it printed."""

import os
import subprocess
import time

from . import outside, rows, world

INHERIT_BASE = {"F": 100, "N": 200, "C": 300, "B": 400}
RUN_SECONDS = 900
SLOW_SECONDS = 2


def number(row_id):
    """The descriptor under which a row finds what it inherits (attempt.c, inherited_fd)."""
    digits = "".join(ch for ch in row_id[1:] if ch.isdigit())
    return INHERIT_BASE[row_id[0]] + int(digits)


def holds(case, mode):
    """Lines of the plan for --holding."""
    fd, victim = number(case.row), f"{world.BASE}/ov/victim/{mode}/{rows.directory(case)}"
    if case.row == "N32":
        return [f"hold {fd} tcp {outside.V4}:{outside.PORT}", f"hold {fd + 50} listen {outside.V4}:0"]
    if case.row == "C02":
        return [f"hold {fd} ro {world.CGROUP}/{mode}/dst"]
    if case.row == "F82":
        return [f"hold {fd} ring {victim}/ring"]
    return [f"hold {fd} rw {victim}/file"]


def write_plan(path, mode, cases, twins, settings):
    """twins: the rows that have one."""
    values = {"base": world.BASE, "mode": mode, "v4": outside.V4, "v6": outside.V6,
              "port": outside.PORT, "endpoint": "orders",
              "lower-allowed": f"{world.LOWER_ALLOWED}/pft-{mode}",
              "lower-victim": f"{world.LOWER_VICTIM}/pft-{mode}",
              "cgroup": f"{world.CGROUP}/{mode}",
              "marker": f"{world.BASE}/ov/victim/{mode}/marker/file", **settings}
    lines = [f"set {k} {v}" for k, v in values.items()]
    for case in cases:
        if case.way == "inherit":
            lines += holds(case, mode)
    for case in cases:
        lines.append(f"{'case' if case.row in twins else 'alone'} {case.row} {case.way} {case.fs}")
    with open(path, "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")
    os.chmod(path, 0o644)


class Run:
    """What one run printed: results[(row, way, fs, kind)][sub] = result."""

    def __init__(self):
        self.results = {}
        self.other = []
        self.finished = False
        self.status = None

    def line(self, line, accomplice, stdin):
        words = line.rstrip("\n").split("\t")
        if words[0] == "R" and len(words) == 7:
            self.results.setdefault(tuple(words[1:5]), {})[words[5]] = words[6]
        elif words[0] == "?" and len(words) == 2:
            stdin.write(accomplice.answer(words[1].split()) + "\n")
            stdin.flush()
        elif words[0] == "E":
            self.finished = True
        else:
            self.other.append(line.rstrip("\n"))


def become(mode):
    """For the child, as root: into the mode's cgroup (baselines of the C rows start in one of
    their own), then down to its user."""
    uid, gid = world.ids(mode)
    groups = [gid, *pinfold_groups()] if mode == "su" else [gid]

    def step_down():
        if mode[0] == "b":
            with open(f"{world.CGROUP}/{mode}/src/cgroup.procs", "w", encoding="ascii") as f:
                f.write("0")
        if uid:
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
    return step_down


def pinfold_groups():
    text = world.run("id", "-G", world.USER).stdout.split()
    return [int(g) for g in text]


def attack(mode, plan, prefix=()):
    """Run attempt on a plan; prefix is what puts it into a session ("pinfold run ... --")."""
    attempt = f"{world.TOOLS}/attempt"
    command = [attempt, "--holding", plan, *prefix, attempt, plan]
    run = Run()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, cwd=world.BASE,
                          preexec_fn=become(mode)) as process:
        accomplice = outside.Accomplice()
        last = time.monotonic()
        for line in process.stdout:
            run.line(line, accomplice, process.stdin)
            if time.monotonic() - last > SLOW_SECONDS:
                print(f"sys: {mode}: {time.monotonic() - last:.1f} s before {line.strip()}")
            last = time.monotonic()
        process.stdin.close()
        run.status = process.wait(timeout=RUN_SECONDS)
    return run


def holder(mode):
    """A process of this mode's user, outside, that holds a connected socket (row N31)."""
    plan = f"{world.BASE}/holder.{mode}"
    with open(plan, "w", encoding="ascii") as f:
        f.write(f"hold {number('N31')} tcp {outside.V4}:{outside.PORT}\n")
    os.chmod(plan, 0o644)
    process = subprocess.Popen([f"{world.TOOLS}/attempt", "--holding", plan, "sh", "-c",
                                "echo ready; exec cat"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, preexec_fn=become(mode))
    process.stdout.readline()
    return process
