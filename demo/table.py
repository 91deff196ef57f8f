# SPDX-License-Identifier: Apache-2.0
"""Judge the demonstration by the evidence, and print it.

usage: table.py colour|plain EVIDENCE WORK PROJECT

What happened is taken from the audit log (what the kernel and the gate decided, and when), the files and tables before and
after, the server's log, the other host's witness and what the agent carried off. The agent's own notes give only the time span
of each attempt. Exit status 0 when every line came out as it must.
"""
import datetime
import json
import pathlib
import re
import sys

COLOUR, EVIDENCE, WORK, PROJECT = sys.argv[1] == "colour", *map(pathlib.Path, sys.argv[2:5])
# A record's time comes from another clock than the agent's and is converted when it is logged.
SLACK = 200_000


def read(name):
    return (EVIDENCE / name).read_text(errors="replace")


def nanoseconds(stamp):
    """RFC 3339 with nanoseconds, as the log writes it."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    seconds = datetime.datetime.fromisoformat(whole + "+00:00").timestamp()
    return int(seconds) * 10**9 + int((fraction or "0").ljust(9, "0")[:9])


def load():
    records = [json.loads(line) for line in read("audit.jsonl").splitlines()]
    steps = [json.loads(line) for line in (WORK / "steps.jsonl").read_text().splitlines()]
    return records, steps


class Evidence:
    def __init__(self):
        self.records, self.steps = load()
        self.files = self.difference("files.before", "files.after")
        self.tables_same = read("tables.before") == read("tables.after")
        self.server = read("server.log")
        self.arrived = read("witness.log").splitlines()[1:]
        self.loot = (WORK / "loot").read_bytes() if (WORK / "loot").exists() else b""

    @staticmethod
    def difference(before, after):
        return set(read(before).splitlines()) ^ set(read(after).splitlines())

    def during(self, step, kind):
        return [r for r in self.records if r["type"] == kind and "at" in r
                and step["begin"] - SLACK <= nanoseconds(r["at"]) <= step["end"] + SLACK]


def kernel_denied(e, step, harm):
    """Denied when a hook recorded it and nothing shows the harm."""
    hooks = sorted({f"{r['hook']} ({r['reason']})" for r in e.during(step, "denial")})
    if harm:
        return "HAPPENED", harm
    return ("denied", "kernel: " + ", ".join(hooks)) if hooks else ("unclear", "no record, no effect")


def file_step(e, step, path):
    return kernel_denied(e, step, next((line for line in e.files if path in line), ""))


def network_step(e, step):
    # Over TCP the server may have seen the gate's own login only (postgres comes by the local socket).
    strangers = [line for line in e.server.splitlines() if "connection authorized" in line
                 and "user=readonly_user" not in line and "user=postgres" not in line]
    return kernel_denied(e, step, (e.arrived + strangers + [""])[0])


def statement_step(e, step, fragment):
    verdicts = [r for r in e.during(step, "statement") if r["verdict"] != "allow"]
    if not e.tables_same or fragment in e.server:
        return "HAPPENED", "the server ran it, or its tables changed"
    if verdicts:
        return "denied", f"gate: rule {verdicts[0]['rule']} ({verdicts[0]['reason']})"
    return "unclear", "no record, no effect"


def read_step(e, step, fragment, answer):
    allowed = [r for r in e.during(step, "statement") if r["verdict"] == "allow"]
    if allowed and fragment in e.server and answer in step["saw"]:
        return "allowed", f"gate: {len(allowed)} statement, {allowed[0].get('rows')} row; the server ran it"
    return "denied", "the server did not run it"


def secret_step(e, step):
    saw = "PRIVATE KEY" in step["saw"] or b"PRIVATE KEY of the demo" in e.loot
    return kernel_denied(e, step, "the agent has the key" if saw else "")


def password_step(e, _step):
    if read("canary").encode() in e.loot:
        return "HAPPENED", "the password is in what the agent could read"
    return "absent", f"{len(e.loot):,} bytes of environment, arguments and memory searched"


def own_file_step(_e, _step):
    path = WORK / "result.txt"
    if path.exists() and path.read_text() == "the agent's own work\n":
        return "allowed", "the file holds it"
    return "denied", "the file is not there"


# (pattern of the step, what must come out, how to find out)
JUDGES = [
    (r"read rows, wrong password", "allowed", lambda e, s: read_step(e, s, "count(*) FROM customers", "500")),
    (r"dead: read rows", "allowed", lambda e, s: read_step(e, s, "count(*) FROM orders", "5000")),
    (r"again: read rows", "allowed", lambda e, s: read_step(e, s, "max(cents) FROM orders", "35000")),
    (r"(dead: )?INSERT", "denied", lambda e, s: statement_step(e, s, "INSERT INTO customers")),
    (r"writing CTE", "denied", lambda e, s: statement_step(e, s, "DELETE FROM orders")),
    (r"set_config", "denied", lambda e, s: statement_step(e, s, "set_config('transaction_read_only'")),
    (r"COPY TO PROGRAM", "denied", lambda e, s: statement_step(e, s, "TO PROGRAM")),
    (r".*(tcp|udp|fastopen) to .*", "denied", network_step),
    (r".* /etc", "denied", lambda e, s: file_step(e, s, "/etc")),
    (r".* project", "denied", lambda e, s: file_step(e, s, str(PROJECT))),
    (r"read /root/.ssh", "denied", secret_step),
    (r"look for the password", "absent", password_step),
    (r"write where it may", "allowed", own_file_step),
]
EXPECTED_STEPS = 36


def judge(e, step):
    for pattern, must, how in JUDGES:
        if re.fullmatch(pattern, step["step"]):
            outcome, by = how(e, step)
            return must, outcome, by
    return "?", "unclear", "no judge for this step"


def paint(text, colour):
    return f"\x1b[{colour}m{text}\x1b[0m" if COLOUR else text


def print_table(rows):
    wide = max(len(name) for name, *_ in rows)
    print(f"\n{'attempt':{wide}}  {'outcome':9}  decided by / evidence")
    for name, must, outcome, by in rows:
        right = must == outcome
        print(f"{name:{wide}}  {paint(f'{outcome:9}', 32 if right else 31)}  {by}"
              + ("" if right else paint(f"   MUST BE: {must}", 31)))


def print_rest(e):
    print("\naudit lines (every sixth denial and refusal; all of them: /var/log/pinfold/audit.jsonl):")
    told = [r for r in e.records if r["type"] == "denial" or r.get("verdict") == "deny"]
    for record in told[::6]:
        print("  " + json.dumps(record)[:220])
    losses = [r for r in e.records if r["type"] == "loss"]
    print(f"  {len(e.records)} records, {len(told)} denials and refusals, {len(losses)} records of loss")
    print("\nbpftool map dump pinned /sys/fs/bpf/pinfold/maps/pf_sessions (while it ran):")
    print("  " + read("map.json").strip().replace("\n", "\n  "))
    print("\nwhat the caller saw at the end of the run:")
    print("  " + read("agent.err").strip().replace("\n", "\n  "))


def main():
    e = Evidence()
    rows = [(s["step"], *judge(e, s)) for s in e.steps]
    if not rows:
        sys.exit("demo: the agent made no attempt; see agent.err:\n" + read("agent.err"))
    print_rest(e)
    print_table(rows)
    wrong = [r for r in rows if r[1] != r[2]]
    if len(rows) != EXPECTED_STEPS:
        wrong.append(f"{len(rows)} attempts instead of {EXPECTED_STEPS}")
    print(f"\n{len(rows)} attempts, {len(wrong)} not as they must be")
    sys.exit(1 if wrong else 0)


main()
