# SPDX-License-Identifier: Apache-2.0
"""From what was printed, seen outside and recorded to a verdict per case. A case passes when each
try was refused, nothing changed outside, the refusals are on record, its twin succeeded, and the
same tries succeeded without a session."""

import collections

from . import rows

Verdict = collections.namedtuple("Verdict", "case mode verdict layer problems")

# Words that a row prints instead of an errno when it could not be tried at all.
BROKEN = ("no-directory", "no-thread", "no-process", "no-driver", "no-sealed", "no-endpoint",
          "no-race", "no-listener", "no-symlink", "no-first-connection", "no-pair", "ENODATA")


def comm(case):
    return f"{case.row[:3]}.{case.way}.{case.fs}"[:15]


class Evidence:
    """What one mode left: printed results, photographs, arrivals, records."""

    def __init__(self, mode, run, before, after, arrived, denials=None):
        self.mode, self.run, self.before, self.after = mode, run, before, after
        self.arrived, self.denials = arrived, denials or {}

    def results(self, case, kind):
        return self.run.results.get((case.row, case.way, case.fs, kind), {})

    def changed(self, case):
        """What is different outside, as lines for people."""
        key = (rows.place(case), rows.directory(case))
        old, new = self.before.get(key, {}), self.after.get(key, {})
        lines = []
        for path in sorted(old.keys() | new.keys()):
            if old.get(path) != new.get(path):
                lines.append(f"{path}: {old.get(path, 'absent')} -> {new.get(path, 'absent')}")
        return lines

    def arrival(self, case):
        return f"{case.row}.{case.way}.{self.mode}" in self.arrived


def judge_baseline(row, case, ev):
    """Problems of a try that should have succeeded; None when the kernel lacks all of it."""
    results = ev.results(case, "target")
    if not results:
        return ["the baseline printed nothing"]
    problems, worked = [], False
    for sub, result in results.items():
        if result in ("ok", "own", "never") or sub == "own-side":
            worked = worked or result == "ok"
        elif result not in row.absent:
            problems.append(f"baseline {sub}: {result}")
    if problems:
        return problems
    if not worked:
        return None
    if row.effect and case.row[0] == "N" and not ev.arrival(case):
        return ["baseline: nothing arrived at the server"]
    if row.effect and case.row[0] != "N" and case.row != "C05" and not ev.changed(case):
        return ["baseline: nothing changed"]
    return []


def acceptable(row, case, mode):
    """Results that count as a refusal here."""
    if case.way == "i386" and mode[0] == "s":
        return row.denials | {"ENOSYS", "SIGSYS"}  # the filter ends a foreign ABI by either
    return row.denials


def judge_tries(row, case, ev, base):
    results = ev.results(case, "target")
    if not results:
        return ["the attempt printed nothing"]
    expected = base.results(case, "target")
    problems = []
    for sub, result in results.items():
        absent = expected.get(sub) in row.absent
        if sub == "own-side":
            problems += [] if result == "own" else ["the race never showed its own side"]
        elif result in BROKEN:
            problems.append(f"{sub}: could not be tried: {result}")
        elif result == "ok":
            problems.append(f"LEAK {sub}: succeeded")
        elif result not in acceptable(row, case, ev.mode) and not absent:
            problems.append(f"{sub}: {result} is not a denial of this row")
    missing = set(expected) - set(results)
    if missing and "descriptor" not in results:
        problems.append("not tried: " + " ".join(sorted(missing)))
    return problems


def judge_twin(row, case, ev, base):
    if not row.twin or (case.way == "i386" and ev.mode[0] == "s"):
        return []
    if ev.mode[0] == "l" and not row.twin_labelled:
        return []
    outside = base.results(case, "twin")
    good = {"ok", "own", "never"}
    if ev.mode[0] == "s" and "seccomp" in row.layers:
        good.add("ENOSYS")  # a number that the filter does not know, also within the rules
    problems = []
    for sub, result in ev.results(case, "twin").items():
        if result not in good and outside.get(sub, "ok") == "ok":
            problems.append(f"twin {sub}: {result}")
    if not ev.results(case, "twin") and outside and not (case.row == "N04" and ev.mode == "lr"):
        problems.append("the twin printed nothing")
    return problems


def judge_records(row, case, ev):
    """(layer, problems)."""
    records = ev.denials.get(comm(case), [])
    hooks = sorted({r.get("hook", "?") for r in records})
    if hooks:
        layer = "+".join(hooks)
    elif case.way == "i386" and ev.mode[0] == "s":
        return "seccomp", []
    else:
        layer = ",".join(x for x in row.layers if x != "kernel") or "none"
    denied = [s for s, r in ev.results(case, "target").items() if r in ("EPERM", "EACCES")]
    if row.layers == ["kernel"] and len(records) < len(denied):
        return layer, [f"{len(records)} records for {len(denied)} denials"]
    return layer, []


def judge(row, case, ev, base):
    """Verdict on one case of a session mode, held against its baseline."""
    problems = []
    outside = judge_baseline(row, case, base)
    if outside:
        problems += outside
    problems += judge_tries(row, case, ev, base)
    problems += judge_twin(row, case, ev, base)
    layer, unrecorded = judge_records(row, case, ev)
    problems += unrecorded
    problems += ["outside: " + line for line in ev.changed(case)]
    if case.row[0] == "N" and ev.arrival(case):
        problems.append("LEAK: it arrived at the server outside")
    verdict = "fail" if problems else "absent" if outside is None else "pass"
    return Verdict(case, ev.mode, verdict, layer, problems)
