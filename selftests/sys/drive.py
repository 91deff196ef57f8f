#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the escape catalogue in a virtual machine, as root: without a session, in sessions, and
under a bare label, and says what held. See driver/judge.py for what a verdict takes.

usage: drive.py --build DIR [--baseline] [--only ROW,ROW...] [--out FILE] [--log FILE]
"""

import argparse
import json
import os
import subprocess
import sys
import time

from driver import audit, daemon, judge, outside, rows, runner, world

SLICE = "/sys/fs/cgroup/pinfold.slice"
DAEMON_SECONDS = 240
PINS = "/sys/fs/bpf/pinfold"


def fail(text):
    print(f"drive: {text}", file=sys.stderr)
    sys.exit(1)


def kernel_name():
    try:
        with open("/run/vmtest/share/key", encoding="ascii") as f:
            return f.read().strip()
    except FileNotFoundError:
        return os.uname().release


class Suite:
    def __init__(self, table, servers):
        self.table = table
        self.servers = servers
        self.log = audit.Log()
        self.evidence = {}
        self.endless = []  # modes whose session has no record of its end
        self.extra = []

    def cases(self, mode, families="FNXPICH"):
        return [c for r in self.table if r.id[0] in families for c in r.cases(mode)]

    def run_mode(self, mode, families="FNXPICH", prefix=(), settings=None):
        """Attack in this mode; the evidence goes to self.evidence[mode]."""
        cases = self.cases(mode, families)
        if not cases:
            return None
        plan = f"{world.BASE}/plan.{mode}{families}"
        before = world.photograph(mode)
        with runner.holder(mode) as holder:
            values = {**self.servers.paths, "race-tries": os.environ.get("PF_RACE_TRIES", "1000"),
                      "holder": holder.pid, **world.program_settings(), "open-tries": os.environ.get("PF_OPEN_TRIES", "500"), **(settings or {})}
            twins = {r.id for r in self.table if r.twin}
            runner.write_plan(plan, mode, cases, twins, values)
            started = time.monotonic()
            run = runner.attack(mode, plan, prefix)
            print(f"sys: {mode}: {len(cases)} cases in {time.monotonic() - started:.0f} s",
                  flush=True)
            holder.stdin.close()
        for line in run.other:
            print(f"{mode}: {line}")
        if not run.finished:
            print(f"FAIL {mode}: the attacker ended early, status {run.status}")
        if mode[0] == "b":
            for r in self.table:
                for c in r.cases(mode):
                    if r.effect and r.id[0] == "N" and c in cases:
                        self.servers.wait_for(f"{c.row}.{c.way}.{mode}")
        ev = judge.Evidence(mode, run, before, world.photograph(mode), self.servers.arrived)
        self.keep(mode, ev)
        return ev

    def keep(self, mode, ev):
        old = self.evidence.get(mode)
        if old:
            old.run.results.update(ev.run.results)
            old.denials.update(ev.denials)
            old.after.update(ev.after)
            old.run.finished = old.run.finished and ev.run.finished
        else:
            self.evidence[mode] = ev

    def session(self, mode):
        print(f"--- session as {'ordinary user' if mode == 'su' else 'root'}", flush=True)
        command = ("pinfold", "run", "--policy", world.POLICY, "--")
        self.log.skip()
        settings = bpf_settings_of_pinfold() if any(r.id[0] == "B" for r in self.table) else {}
        ev = self.run_mode(mode, "FNXPICBH", command, settings)
        if ev:
            denials, complete = self.log.denials(None)
            ev.denials.update(audit.by_case(denials))
            if not complete:
                self.endless.append(mode)

    def labelled(self):
        """A label on a process with all capabilities; the session it belongs to only waits."""
        print("--- label without a session around it", flush=True)
        self.log.skip()
        known = set(os.listdir(SLICE))
        with subprocess.Popen(["pinfold", "run", "--policy", world.POLICY, "--", "sh", "-c",
                               "echo ready; exec cat"], stdin=subprocess.PIPE, cwd="/",
                              stdout=subprocess.PIPE, text=True) as waiting:
            waiting.stdout.readline()
            made = [d for d in os.listdir(SLICE)
                    if d not in known and os.path.isdir(f"{SLICE}/{d}/agent")]
            if len(made) != 1:
                waiting.stdin.close()
                print(f"FAIL lr: no session to take a label from: {made}")
                return
            prefix = (f"{world.TOOLS}/labelled", f"{SLICE}/{made[0]}")
            self.run_mode("lr", "FNXPIC", prefix)
            self.run_mode("lr", "BH", prefix, bpf_settings_of_pinfold())
            waiting.stdin.close()
        if not self.evidence.get("lr"):
            return
        denials, complete = self.log.denials(made[0])
        self.evidence["lr"].denials.update(audit.by_case(denials))
        if not complete:
            self.endless.append("lr")

    def recycled_pid(self):
        """Row C07: a process outside that gets the id of one that died in a session, with
        no_new_privs set as there, may do what it may."""
        ev = self.evidence.get("su")
        pids = [r["pid"] for records in (ev.denials.values() if ev else ()) for r in records]
        if not pids or not any(r.id == "F02" for r in self.table):
            return
        plan = f"{world.BASE}/plan.recycled"
        runner.write_plan(plan, "br", [rows.Case("F02", "sys", "ov")], set(), {})
        attempt = f"{world.TOOLS}/attempt"
        text = world.run(attempt, "--as-pid", str(pids[-1]), attempt, plan, check=False).stdout
        results = [line.split("\t")[6] for line in text.splitlines() if line.startswith("R")]
        good = bool(results) and set(results) == {"ok"}
        self.extra.append(judge.Verdict(rows.Case("C07", "sys", "-"), "br",
                                        "pass" if good else "fail", "none",
                                        [] if good else [f"under a dead process's id: {text!r}"]))

    def verdicts(self):
        yield from self.extra
        for row in self.table:
            for mode in ("su", "sr", "lr"):
                ev = self.evidence.get(mode)
                base = "bu" if mode == "su" and "u" in row.base else "br"
                if not ev or not ev.run.results or base not in self.evidence:
                    continue
                for case in row.cases(mode):
                    yield judge.judge(row, case, ev, self.evidence[base])


def bpf_settings_of_pinfold():
    """Pinfold's objects as the B rows find them: ids and one pin of each kind."""
    ids = {"map": [], "prog": [], "link": []}
    for kind in ids:
        text = subprocess.run(["bpftool", "-j", "-f", kind, "show"], capture_output=True,
                              text=True, check=True).stdout
        for item in json.loads(text or "[]"):
            if any(p.startswith(PINS) for p in item.get("pinned", [])):
                ids[kind].append(str(item["id"]))
    if not all(ids.values()):
        fail(f"no pinned objects of Pinfold to attack: {ids}")
    pin = {kind: f"{PINS}/{kind}s/{sorted(os.listdir(f'{PINS}/{kind}s'))[0]}" for kind in ids}
    return {"map-ids": ",".join(ids["map"]), "prog-ids": ",".join(ids["prog"]),
            "link-ids": ",".join(ids["link"]), "map-pin": pin["map"], "prog-pin": pin["prog"],
            "link-pin": pin["link"], "pins": PINS, "bpffs": "/sys/fs/bpf", "bpf-cgroup": SLICE,
            "daemon": daemon_pid()}


def daemon_pid():
    text = subprocess.run(["pidof", "pinfoldd"], capture_output=True, text=True, check=False)
    return text.stdout.split()[0] if text.stdout.split() else "1"


def bpf_settings_of_stand_ins():
    directory, cgroup = f"{world.BPFFS}/pft", f"{world.CGROUP}/br"
    os.makedirs(directory)
    text = world.run(f"{world.TOOLS}/attempt", "--bpf-objects", directory, cgroup).stdout
    ids = dict(line.split() for line in text.splitlines())
    return {"map-ids": ids["map"], "prog-ids": ids["prog"], "link-ids": ids["link"],
            "map-pin": f"{directory}/map", "prog-pin": f"{directory}/prog",
            "link-pin": f"{directory}/link", "pins": directory, "bpffs": world.BPFFS,
            "bpf-cgroup": cgroup}


def report_baseline(suite):
    """Only the baselines: each row that does not succeed outside, with what it said."""
    bad = 0
    for mode in ("bu", "br"):
        ev = suite.evidence.get(mode)
        for row in suite.table:
            for case in row.cases(mode) if ev else []:
                problems = judge.judge_baseline(row, case, ev)
                twins = {s: r for s, r in ev.results(case, "twin").items()
                         if r not in ("ok", "own", "never") and r not in row.absent}
                if row.twin and twins:
                    problems = (problems or []) + [f"twin {twins}"]
                if problems is None:
                    print(f"absent {mode} {case.row} {case.way} {case.fs}")
                elif problems:
                    bad += 1
                    print(f"FAIL {mode} {case.row} {case.way} {case.fs}: {'; '.join(problems)}")
    print(f"baseline: {bad} failed")
    return bad


def report(suite, path):
    kernel = kernel_name()
    count = {"pass": 0, "fail": 0, "absent": 0}
    with open(path, "w", encoding="ascii") as f:
        f.write("row\tway\tmode\tkernel\tfs\tverdict\tlayer\n")
        for v in suite.verdicts():
            count[v.verdict] += 1
            f.write(f"{v.case.row}\t{v.case.way}\t{v.mode}\t{kernel}\t{v.case.fs}\t{v.verdict}\t"
                    f"{v.layer}\n")
            for problem in v.problems:
                print(f"FAIL {v.mode} {v.case.row} {v.case.way} {v.case.fs}: {problem}")
    for mode in suite.endless:
        print(f"FAIL {mode}: no record of the session's end")
    early = [m for m, ev in suite.evidence.items() if not ev.run.finished]
    missing = [m for m in ("su", "sr", "lr") if m not in suite.evidence]
    failed = count["fail"] + len(early) + len(missing) + len(suite.endless)
    print(f"sys: {count['absent']} cases that this kernel or filesystem has no call for")
    print(f"{count['pass']} passed, {failed} failed, {count['absent']} skipped")
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--baseline", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--out", default="/tmp/sys.tsv")
    parser.add_argument("--log", default="/tmp/pinfoldd.log")
    args = parser.parse_args()
    table = rows.load()
    if args.only:
        table = [r for r in table if r.id in args.only.split(",")]
    started = time.monotonic()
    world.make_all(table, args.build)
    print(f"sys: targets made in {time.monotonic() - started:.0f} s", flush=True)
    suite = Suite(table, outside.Servers(f"{world.BASE}/ov/sock", "/run/systemd/private"))
    for mode in ("bu", "br"):
        print(f"--- baseline as {'ordinary user' if mode == 'bu' else 'root'}", flush=True)
        suite.run_mode(mode)
    if any(r.id[0] == "B" for r in table):
        suite.run_mode("br", "B", (f"{world.TOOLS}/labelled", "-"), bpf_settings_of_stand_ins())
    if args.baseline:
        sys.exit(report_baseline(suite) != 0)
    started = time.monotonic()
    pinfoldd = daemon.start(args.log, DAEMON_SECONDS)
    print(f"sys: pinfoldd serves after {time.monotonic() - started:.0f} s", flush=True)
    for mode in ("su", "sr"):
        suite.session(mode)
    suite.recycled_pid()
    suite.labelled()
    pinfoldd.terminate()
    pinfoldd.wait()
    sys.exit(report(suite, args.out) != 0)


if __name__ == "__main__":
    main()
