# SPDX-License-Identifier: Apache-2.0
"""What `pinfold classify` says is what the gate does: verdict, rule, reason and hint."""

import json
import os
import re
import subprocess

from harness import DEADLINE
from raw import Closed, Raw, error_of, query
from suite import check, test
from t_statements import ALLOWED, DENIED, mutations

REFUSED = re.compile(r"pinfold: denied by rule (\S+): (.*)", re.S)

# Hostile to what reads them before the parser does; allowed, and the state decides; split by psql.
OTHERS = [b"", b";", b" ", b"SELECT 1;;", b"SELECT '\xff'", b"SELECT '\xc0\xaf'",
          b"SELECT '\xe2\x82'", b"SELECT 1\0", b"\0", b"SELECT 1\0; DROP TABLE orders", b"SELECT '\xff\0'",
          b"SELECT 1".ljust(256 * 1024), b"SELECT 1".ljust(256 * 1024 + 1),
          b"SELECT 1".ljust(1024 * 1024 - 1), b"SELECT 1".ljust(1024 * 1024),
          b"SELECT \xff".ljust(1024 * 1024), b"SELECT '", b"SELECT /* 1", b"SELECT $a$",
          b"SELECT 1e", b"SELEC 1", b"DROP \"\x1b[31m\"", b"DROP \"" + "ž".encode() * 200 + b"\"",
          b"SELECT no_such_function()", b"SELECT * FROM no_such_table", b"SELECT 1/0",
          b"DECLARE c CURSOR FOR SELECT 1", b"EXECUTE no_such_name", b"SAVEPOINT s",
          b"RELEASE s", b"FETCH c", b"CLOSE c", b"DEALLOCATE x", b"COMMIT", b"ROLLBACK", b"BEGIN",
          b"END", b"SELECT x.\"pg_sleep\" FROM orders x",
          b"SELECT set_config('datestyle', 'ISO', false)", b"CREATE FUNCTION f() RETURNS int "
          b"BEGIN ATOMIC SELECT 1; SELECT 2; END", b"COPY orders FROM STDIN"]


def corpus():
    texts = [t.encode() for _, _, row in DENIED for sql in row for t in mutations(sql)]
    texts += [t.encode() for _, row in ALLOWED for sql in row for t in mutations(sql)]
    return texts + OTHERS


def classify(world, mode, lines):
    program = os.path.join(os.path.dirname(world.binary), "pinfold-classify")
    r = subprocess.run([program, "postgres", mode], input=b"\n".join(lines) + b"\n",
                       capture_output=True, timeout=4 * DEADLINE)
    check((r.returncode, r.stderr) == (0, b""), r.stderr)
    out = [json.loads(line) for line in r.stdout.splitlines()]
    check([a["line"] for a in out] == list(range(1, len(lines) + 1)), "a verdict for each line")
    return [(a["verdict"], a["rule"], a["reason"], a["hint"]) for a in out]


class Client:
    """A connection to the gate, and another one when it was closed."""

    def __init__(self, gate):
        self.gate = gate
        self.raw = Raw(gate.port)

    def verdict(self, text):
        self.raw.send(query(text))
        try:
            e = error_of(self.raw.until("Z"))
        except Closed:
            self.raw = Raw(self.gate.port)
            return None
        if e is None:
            return ("allow", "", "", "")
        refused = REFUSED.fullmatch(e["M"])
        return ("deny", *refused.groups(), e.get("H", "")) if refused else ("allow", "", "", "")

    def killed(self, text):
        """The same for what closes the connection: who is still sending may not hear why."""
        start = len(self.gate.records)
        try:
            self.raw.send(query(text))
            check(self.raw.closed(), f"still open after {text[:200]!r}")
        except ConnectionError:
            pass
        self.raw.close()
        self.raw = Raw(self.gate.port)
        (r,) = self.gate.wait_record("kill", lambda r: r.get("event") == "kill", start)
        return (r["verdict"], r["rule"], r["reason"], "")


def compare(world, texts, told):
    client = Client(world.gate)
    kinds = set()
    for text, want in zip(texts, told):
        got = client.killed(text) if want[0] == "kill" else client.verdict(text)
        check(got == want, f"{text[:200]!r}: the gate {got}, classify {want}")
        # No transaction of one statement is the next one's.
        if want[0] == "allow":
            client.verdict(b"ROLLBACK")
        kinds.add(want[0])
    client.raw.close()
    return kinds


@test("classify: JSON lines, the verdicts of the gate")
def jsonl(world):
    texts = []
    for text in corpus():
        try:
            text.decode()
            texts.append(text)
        except UnicodeDecodeError:
            pass
    check(len(texts) > 500, "most of them are text")
    lines = [json.dumps({"sql": t.decode()}).encode() for t in texts]
    kinds = compare(world, texts, classify(world, "jsonl", lines))
    check(kinds == {"allow", "deny", "kill"}, kinds)


@test("classify: lines of text, the verdicts of the gate")
def text_lines(world):
    texts = [t for t in corpus() if b"\n" not in t]
    kinds = compare(world, texts, classify(world, "text", texts))
    check(kinds == {"allow", "deny", "kill"}, kinds)
