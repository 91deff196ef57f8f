#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Invariant I2: pinfoldd, a session's gate, its parser or all of them are killed at random points
while rows F01-F10 and N01-N10 run in a loop in the session. None may succeed; the session must be
adopted after every restart; and what the log lacks must be counted.

usage: kill9.py --build DIR [--rounds N] [--seed N]      (root, in a virtual machine)
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time

from driver import audit, outside, rows, runner, wait, world

MODE = "su"
ROWS = {f"F{n:02}" for n in range(1, 11)} | {f"N{n:02}" for n in range(1, 11)}
WAYS = {"sys", "uring"}
SLICE = "/sys/fs/cgroup/pinfold.slice"
SECONDS = 240
LINES_MAX = 60


class Attack:
    """The attacker in its session, and a thread that reads what it prints."""

    def __init__(self, table, plan):
        self.denials = {r.id: r.denials | r.absent | {"nofd"} for r in table}
        self.lines, self.leaks, self.odd = 0, [], {}
        self._more = threading.Condition()
        attempt = f"{world.TOOLS}/attempt"
        self.process = subprocess.Popen(
            ["pinfold", "run", "--policy", world.POLICY, "--", attempt, "--loop", plan],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=world.BASE, preexec_fn=runner.become(MODE))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            words = line.rstrip("\n").split("\t")
            with self._more:
                self.lines += 1
                if words[0] != "R" or len(words) != 7:
                    self.odd[line.strip()] = self.odd.get(line.strip(), 0) + 1
                elif words[6] == "ok":
                    self.leaks.append(line.strip())
                elif words[6] not in self.denials[words[1]]:
                    self.odd[line.strip()] = self.odd.get(line.strip(), 0) + 1
                self._more.notify_all()

    def wait_for(self, lines):
        """Until so many more lines have come; False when the attacker is gone or stuck."""
        with self._more:
            goal = self.lines + lines
            return self._more.wait_for(lambda: self.lines >= goal, timeout=SECONDS)

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=SECONDS)
        self._reader.join(timeout=SECONDS)


class Daemon:
    def __init__(self, log):
        self.log = log
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["pinfoldd"], stderr=subprocess.DEVNULL)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def wait_adopted(self, session, before):
        """Until the log says that the session was adopted more often than before."""
        return wait.until(lambda: adoptions(self.log, session) > before, SECONDS)


def adoptions(log, session):
    return sum(1 for r in log.records() if r["type"] == "session"
               and r.get("session") == session and r.get("event") == "adopted")


def answers():
    return subprocess.run(["pinfold", "ps", "--json"], capture_output=True,
                          check=False).returncode == 0


def gate_processes(session):
    """(gate, parser): the parser is the one whose parent is the other."""
    try:
        with open(f"{SLICE}/{session}/gate/cgroup.procs", encoding="ascii") as f:
            pids = [int(line) for line in f]
        parents = {}
        for pid in pids:
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                parents[pid] = int(f.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return [], []
    parsers = [p for p in pids if parents[p] in parents]
    return [p for p in pids if p not in parsers], parsers


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it was faster


def one_round(daemon, attack, session, choice):
    """Kill, at a random point, what choice names; False when the session was not adopted."""
    if not attack.wait_for(random.randrange(1, LINES_MAX)):
        return False
    gates, parsers = gate_processes(session)
    if choice in ("gate", "all"):
        kill(gates)
    if choice in ("parser", "all"):
        kill(parsers)
    if choice not in ("daemon", "all"):
        return True
    before = adoptions(daemon.log, session)
    daemon.kill()
    daemon.start()
    if random.random() < 0.3:  # once more, before or while it adopts
        attack.wait_for(random.randrange(1, 8))
        before = adoptions(daemon.log, session)
        daemon.kill()
        daemon.start()
    return daemon.wait_adopted(session, before)


def check_count(log, session):
    """Every event that the kernel numbered is a record, was merged, or is counted as lost."""
    records, ended = log.denials(session)
    if not ended:
        return ["the session's end is not on record"]
    end = next(r for r in log.records() if audit.is_end(r, session))
    numbers = {r["kseq"] for r in log.records()
               if r.get("session") == session and "kseq" in r}
    known = len(numbers) + end["merged"] + end["lost"]
    print(f"kill9: {end['events']} events: {len(numbers)} on record, {end['merged']} merged, "
          f"{end['lost']} lost; {len(records)} denials")
    return [] if known == end["events"] else [f"{end['events'] - known} events are unaccounted for"]


def prepare(build):
    table = [r for r in rows.load() if r.id in ROWS]
    for r in table:
        r.ways = [w for w in r.ways if w in WAYS]
        r.per_fs = False
    if not os.path.exists(f"{world.BASE}/targets"):  # else drive.py has been here
        world.make_all(table, build)
    servers = outside.Servers(f"{world.BASE}/ov/sock", "/run/systemd/private")
    plan = f"{world.BASE}/plan.kill9"
    cases = [c for r in table for c in r.cases(MODE)]
    runner.write_plan(plan, MODE, [c._replace(fs="ov") for c in cases], set(), servers.paths)
    return table, servers, plan


def find_session(known):
    def there():
        return [d for d in os.listdir(SLICE) if os.path.isdir(f"{SLICE}/{d}/agent")
                and d not in known]
    made = wait.until(there, SECONDS)
    return made[0] if made else None


def rounds(args, daemon, attack, session):
    problems = []
    for n in range(args.rounds):
        choice = random.choice(("daemon", "gate", "parser", "all"))
        if not one_round(daemon, attack, session, choice):
            problems.append(f"round {n} ({choice}): the session was not adopted")
            break
    return problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    random.seed(args.seed)
    print(f"kill9: {args.rounds} rounds, seed {args.seed}", flush=True)
    table, servers, plan = prepare(args.build)
    log = audit.Log()
    daemon = Daemon(log)
    daemon.start()
    if not wait.until(answers, SECONDS):
        print("FAIL kill9: pinfoldd does not answer\n0 passed, 1 failed, 0 skipped")
        sys.exit(1)
    before = world.photograph(MODE)
    log.skip()
    known = set(os.listdir(SLICE))
    attack = Attack(table, plan)
    session = find_session(known)
    problems = rounds(args, daemon, attack, session) if session else ["no session"]
    attack.stop()
    problems += [f"LEAK {line}" for line in attack.leaks]
    problems += [f"odd, {n} times: {line}" for line, n in attack.odd.items()
                 if not line.startswith("pinfold: session ")]
    problems += check_count(log, session) if session else []
    if world.photograph(MODE) != before:
        problems.append("something changed outside")
    if servers.arrived or servers.counts() != (0, 0):
        problems.append(f"something arrived outside: {servers.arrived} {servers.counts()}")
    daemon.process.terminate()
    daemon.process.wait()
    for problem in problems:
        print(f"FAIL kill9: {problem}")
    print(f"kill9: {attack.lines} tries, {adoptions(log, session)} adoptions")
    print(f"{args.rounds if not problems else 0} passed, {len(problems)} failed, 0 skipped")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
