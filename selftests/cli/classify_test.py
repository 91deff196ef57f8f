# SPDX-License-Identifier: Apache-2.0
"""`pinfold classify`: a verdict a line, in order, whatever the lines are and whatever becomes of
the parser. That the verdicts are the gate's is tested with a gate (selftests/wire/t_classify.py).

Run by run.py.
"""
import json
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PINFOLD = os.path.abspath(sys.argv[1])
PROGRAM = os.path.join(os.path.dirname(PINFOLD), "pinfold-classify")
COMPLETION = pathlib.Path(__file__).resolve().parents[2] / "user/cli/pinfold.bash"
TYPES = ["postgres"]
DEADLINE = 60
ANSWER = ("verdict", "rule", "reason", "hint", "kind", "fingerprint", "line")


def run(data, *argv, **kw):
    if isinstance(data, str):
        data = data.encode()
    return subprocess.run([PINFOLD, "classify", "--type", "postgres", *argv], input=data,
                          capture_output=True, timeout=DEADLINE, **kw)


def answers(r):
    return [json.loads(line) for line in r.stdout.decode().splitlines()]


def words(r):
    return [(a["verdict"], a["rule"]) for a in answers(r)]


def wait_for(what, condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE} s: {what}")
        time.sleep(0.01)


def tail(f):
    return os.pread(f.fileno(), 100, max(0, os.fstat(f.fileno()).st_size - 100))


def children(pid):
    """Zygote and worker, in this order."""
    found = [pid]
    for parent in found:
        with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as f:
            found += [int(c) for c in f.read().split()]
    return found[1:]


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Live:
    """One that is spoken to while it runs."""

    def __init__(self, stdin=subprocess.PIPE, stdout=subprocess.PIPE):
        self.process = subprocess.Popen([PINFOLD, "classify", "--type", "postgres"], stdin=stdin,
                                        stdout=stdout, stderr=subprocess.PIPE, bufsize=0)

    def ask(self, statement):
        self.process.stdin.write(statement.encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([self.process.stdout], [], [], DEADLINE)[0]:
                raise AssertionError(f"no verdict on {statement}")
            piece = self.process.stdout.read(4096)
            if not piece:
                raise AssertionError(f"it ended: {self.process.stderr.read()}")
            line += piece
        return json.loads(line)

    def end(self):
        _, told = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, told.decode()

    def kill_child(self, which):
        pid = children(self.process.pid)[which]
        os.kill(pid, signal.SIGKILL)
        wait_for("its end", lambda: not lives(pid))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


class Text(unittest.TestCase):
    def test_a_line_is_a_statement(self):
        r = run("SELECT 1\nDROP TABLE orders\n\nSELECT 1; DROP TABLE orders\n-- DROP TABLE orders\n"
                "SELECT\nCOMMIT\nSELEC 1\nSELECT 'last'")
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        self.assertEqual(words(r), [("allow", ""), ("deny", "P24"), ("allow", ""), ("deny", "P19"),
                                    ("allow", ""), ("allow", ""), ("allow", ""), ("deny", "P65"),
                                    ("allow", "")])
        for n, a in enumerate(answers(r), 1):
            self.assertEqual(tuple(a), ANSWER)
            self.assertEqual(a["line"], n)
            self.assertEqual(a["reason"] == "", a["verdict"] == "allow")
            self.assertEqual(a["kind"] == "none", a["verdict"] != "allow")
            self.assertRegex(a["fingerprint"], r"^[0-9a-f]{16}$")

    def test_nothing(self):
        r = run("")
        self.assertEqual((r.returncode, r.stdout, r.stderr), (0, b"", b""))

    def test_hostile_bytes(self):
        r = run(b"SELECT '\xff'\nSELECT 1\0\nSELECT '\xc3\xa9'\nSELECT 1\r\n-- x\rDROP TABLE t\n"
                b"SELECT '\x1b[31m'\nDROP \"\x1b[31m\"\n\xef\xbb\xbfSELECT 1\n"
                b"SELECT \"f\xc2\x9b31m\xe2\x80\xae\"()\n")
        self.assertEqual(r.returncode, 0)
        self.assertEqual(words(r)[:6], [("deny", "P21"), ("kill", "P11"), ("allow", ""),
                                        ("allow", ""), ("deny", "P24"), ("allow", "")])
        self.assertEqual([v for v, _ in words(r)[6:]], ["deny", "deny", "deny"])
        self.assertNotIn(b"\x1b", r.stdout)
        self.assertIn(b"f\\u009b31m\\u202e", r.stdout)
        self.assertTrue(r.stdout.isascii())

    def test_lengths(self):
        """At each limit and past it; the line behind is judged as ever."""
        cases = ((256 * 1024, ("allow", "")), (256 * 1024 + 1, ("deny", "P67")),
                 (1024 * 1024 - 1, ("deny", "P67")), (1024 * 1024, ("kill", "P10")),
                 (40 * 1024 * 1024, ("kill", "P10")))
        for n, want in cases:
            with self.subTest(n=n):
                r = run(b"SELECT 1".ljust(n) + b"\nDROP TABLE t\n")
                self.assertEqual(words(r), [want, ("deny", "P24")])
        r = run("SELECT " + "(" * 600 + "1" + ")" * 600 + "\nSELECT 1" + "+1" * 30000 + "\n")
        self.assertEqual(words(r), [("deny", "P67")] * 2)

    def test_many_lines_in_little_memory(self):
        n = 50000
        statements = (b"SELECT 1\n", b"DELETE FROM orders\n", b"\n", b"SELECT '\xff'\n")
        with tempfile.TemporaryFile() as out, Live(stdout=out) as c:
            c.process.stdin.write(b"".join(statements[i % 4] for i in range(n - 1)))
            c.process.stdin.write(b"SELECT ".ljust(200 << 10, b"1") + b"\n")
            wait_for("the last verdict", lambda: f'"line":{n}}}'.encode() in tail(out))
            with open(f"/proc/{c.process.pid}/status", encoding="ascii") as f:
                peak = int(re.search(r"VmHWM:\s*(\d+) kB", f.read()).group(1))
            self.assertEqual(c.end(), (0, ""))
            out.seek(0)
            got = [json.loads(line) for line in out]
        self.assertEqual([a["line"] for a in got], list(range(1, n + 1)))
        self.assertEqual([a["rule"] for a in got[:-1]], (["", "P24", "", "P21"] * n)[:n - 1])
        if b"__asan" not in pathlib.Path(PROGRAM).read_bytes():
            self.assertLess(peak, 16 * 1024)


class Jsonl(unittest.TestCase):
    def test_statements(self):
        statements = ["SELECT 1", "SELECT\n1;\n", "DELETE FROM orders", "", "SELECT 'é\\'",
                      "SELECT '\U0001f40e'", "SELECT 1\0", "SELECT 1".ljust(256 * 1024 + 1),
                      "SELECT 1".ljust(1024 * 1024), "-- \n" * 65536]
        data = "".join(json.dumps({"id": i, "sql": s, "cmd": None}) + "\n"
                       for i, s in enumerate(statements))
        r = run(data, "--jsonl")
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        self.assertEqual(words(r), [("allow", ""), ("allow", ""), ("deny", "P24"), ("allow", ""),
                                    ("allow", ""), ("allow", ""), ("kill", "P11"), ("deny", "P67"),
                                    ("kill", "P10"), ("allow", "")])

    def test_lines_without_a_statement(self):
        bad = [b"", b"SELECT 1", b"[]", b"{}", b'{"sql":1}', b'{"cmd":"SELECT 1"}',
               b'{"sql":"SELECT 1","sql":"SELECT 2"}', b'{"sql":"\xff"}', b'{"sql":"\\ud800"}',
               b'{"sql":"SELECT 1"', b'{"sql":"a"}{"sql":"b"}', b"[" * 100000,
               b'{"sql":"' + b"x" * (9 << 20) + b'"}', b'\0{"sql":"SELECT 1"}']
        good = b'{"sql":"SELECT 1"}'
        r = run(b"".join(good + b"\n" + b + b"\n" for b in bad) + good, "--jsonl")
        self.assertEqual(r.returncode, 1)
        self.assertEqual(words(r), [("allow", ""), ("deny", "INPUT")] * len(bad) + [("allow", "")])
        self.assertEqual([a["line"] for a in answers(r)], list(range(1, 2 * len(bad) + 2)))
        self.assertEqual(r.stderr.decode(), "pinfold classify: error: no statement in "
                         f"{len(bad)} of {2 * len(bad) + 1} lines, the first is line 2\n")

    def test_the_longest_statement_fits_a_line(self):
        """Escaped in the longest way, at the limit of a message."""
        r = run('{"sql":"' + "\\u0020" * (1024 * 1024 - 1) + '"}\n', "--jsonl")
        self.assertEqual((r.returncode, words(r)), (0, [("deny", "P67")]))


class Parser(unittest.TestCase):
    def test_a_verdict_as_soon_as_there_is_a_line(self):
        with Live() as c:
            for _ in range(3):
                self.assertEqual(c.ask("SELECT 1")["verdict"], "allow")
                self.assertEqual(c.ask("TRUNCATE orders")["rule"], "P24")
            self.assertEqual(c.end(), (0, ""))

    def test_a_worker_that_dies_between_statements(self):
        with Live() as c:
            for _ in range(3):
                self.assertEqual(c.ask("SELECT 1")["verdict"], "allow")
                c.kill_child(1)
            self.assertEqual(c.ask("TRUNCATE orders")["rule"], "P24")
            self.assertEqual(c.end(), (0, ""))

    def test_a_worker_that_is_silent(self):
        """It is denied what it had, for want of a verdict, and replaced."""
        with Live() as c:
            self.assertEqual(c.ask("SELECT 1")["verdict"], "allow")
            worker = children(c.process.pid)[1]
            os.kill(worker, signal.SIGSTOP)
            a = c.ask("SELECT 'silent'")
            self.assertEqual((a["verdict"], a["rule"]), ("deny", "BOX"))
            self.assertTrue(a["reason"])
            self.assertEqual(c.ask("SELECT 'silent'")["verdict"], "allow")
            self.assertNotEqual(children(c.process.pid)[1], worker)
            self.assertEqual(c.end(), (0, ""))

    def test_without_a_parser_all_is_denied_and_told(self):
        with Live() as c:
            self.assertEqual(c.ask("SELECT 1")["verdict"], "allow")
            c.kill_child(0)
            for _ in range(2):
                a = c.ask("SELECT 1")
                self.assertEqual((a["verdict"], a["rule"]), ("deny", "BOX"))
            status, told = c.end()
            self.assertEqual(status, 1)
            self.assertRegex(told, r"\Apinfold classify: error: the parser has ended[^\n]*\n\Z")

    def test_the_parser_is_in_its_box(self):
        with Live() as c:
            c.ask("SELECT 1")
            worker = children(c.process.pid)[1]
            with open(f"/proc/{worker}/status", encoding="ascii") as f:
                status = f.read()
            self.assertRegex(status, r"\nSeccomp:\t2\n")
            self.assertRegex(status, r"\nNoNewPrivs:\t1\n")
            if os.geteuid() == 0:  # it is not dumpable: its own uid may not look
                self.assertEqual(os.listdir(f"/proc/{worker}/fd"), ["0"])

    def test_it_leaves_nobody_behind(self):
        with Live() as c:
            c.ask("SELECT 1")
            family = children(c.process.pid)
            self.assertEqual(len(family), 2)
            c.process.kill()
            c.process.wait(DEADLINE)
            wait_for("the parser's end", lambda: not any(lives(p) for p in family))

    def test_lower_limits_of_the_caller(self):
        """What may not be raised again is no reason to parse nothing."""
        def limited():
            resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
            resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)

        with tempfile.TemporaryDirectory() as d:
            os.chmod(d, 0o755)
            copies = [shutil.copy(p, d) for p in (PINFOLD, PROGRAM)]
            r = subprocess.run([copies[0], "classify", "--type", "postgres"], preexec_fn=limited,
                               input=b"SELECT 1\nDROP TABLE t\n", capture_output=True, cwd="/",
                               timeout=DEADLINE)
        self.assertEqual((r.returncode, words(r)), (0, [("allow", ""), ("deny", "P24")]), r)


class Program(unittest.TestCase):
    def test_usage(self):
        for argv in ([], ["--type"], ["--type", "postgres", "x"], ["--json", "--type", "postgres"],
                     ["--type", "postgres", "--jsonl=1"], ["--typ", "postgres"]):
            r = subprocess.run([PINFOLD, "classify", *argv], input=b"SELECT 1\n",
                               capture_output=True, timeout=DEADLINE)
            self.assertEqual((r.returncode, r.stdout), (2, b""), argv)
            self.assertRegex(r.stderr.decode(), r"\Apinfold classify: [^\n]*\n\Z")

    def test_types(self):
        for word in ("mysql", "mssql", "mongodb", "", "Postgres", "postgres "):
            r = subprocess.run([PINFOLD, "classify", "--type", word], input=b"SELECT 1\n",
                               capture_output=True, timeout=DEADLINE)
            self.assertEqual((r.returncode, r.stdout), (2, b""))
            told = r.stderr.decode()
            self.assertIn(f'"{word}"', told)
            self.assertEqual(re.search(r"there is: (.*)\n", told).group(1).split(), TYPES)
        for word in TYPES:
            r = subprocess.run([PINFOLD, "classify", "--type", word], input=b"",
                               capture_output=True, timeout=DEADLINE)
            self.assertEqual(r.returncode, 0)

    def test_types_are_completed(self):
        script = f'. {COMPLETION}; _pinfold_value --type ""; echo "${{COMPREPLY[@]}}"'
        r = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=DEADLINE)
        self.assertEqual(r.stdout.split(), TYPES)

    def test_the_program_is_missing(self):
        with tempfile.TemporaryDirectory() as d:
            alone = shutil.copy(PINFOLD, d)
            # with nothing installed where it looks, either
            script = 'mount -t tmpfs none /usr/local && exec "$0" classify --type postgres'
            if os.geteuid() != 0:
                self.skipTest("only root may hide what is installed")
            r = subprocess.run(["unshare", "-m", "sh", "-c", script, alone], input=b"SELECT 1\n",
                               capture_output=True, timeout=DEADLINE)
        self.assertEqual((r.returncode, r.stdout), (1, b""))
        self.assertRegex(r.stderr.decode(),
                         r"\Apinfold: cannot execute /\S*/pinfold-classify: [^\n]*\n\Z")

    def test_it_is_not_for_people(self):
        for argv in ([], ["postgres"], ["postgres", "x"], ["postgres", "text", "x"]):
            r = subprocess.run([PROGRAM, *argv], input=b"SELECT 1\n", capture_output=True,
                               timeout=DEADLINE)
            self.assertEqual((r.returncode, r.stdout), (2, b""))
            self.assertIn(b"pinfold classify --help", r.stderr)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            r = subprocess.run([PINFOLD, "classify", "--type", "postgres"], input=b"SELECT 1\n",
                               stdout=full, stderr=subprocess.PIPE, timeout=DEADLINE)
        self.assertEqual(r.returncode, 1)
        self.assertIn(b"No space left", r.stderr)

    def test_a_reader_that_has_seen_enough(self):
        p = subprocess.Popen([PINFOLD, "classify", "--type", "postgres"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdin.write(b"SELECT 1\n")
        p.stdin.flush()
        self.assertTrue(p.stdout.readline())
        p.stdout.close()
        try:
            for _ in range(100000):
                p.stdin.write(b"SELECT 1\n")
            p.stdin.close()
        except BrokenPipeError:
            pass
        self.assertEqual(p.wait(DEADLINE), 1)
        self.assertEqual(p.stderr.read(), b"")
        p.stderr.close()

    def test_input_that_cannot_be_read(self):
        for script, word in (('exec "$0" classify --type postgres <&-', "Bad file descriptor"),
                             ('exec "$0" classify --type postgres </', "Is a directory")):
            r = subprocess.run(["sh", "-c", script, PINFOLD], capture_output=True, text=True,
                               timeout=DEADLINE)
            self.assertEqual((r.returncode, r.stdout), (1, ""))
            self.assertIn(word, r.stderr)

    def test_descriptors_that_do_not_block(self):
        inside, outside = os.pipe()
        os.set_blocking(inside, False)
        with Live(stdin=inside) as c:
            os.close(inside)
            for statement, word in ((b"SELECT 1\n", b"allow"), (b"DROP TABLE t\n", b"P24")):
                wait_for("it waits", lambda: self.polls(c.process))
                os.write(outside, statement)
                self.assertIn(word, c.process.stdout.read(4096))
            os.close(outside)
            self.assertEqual(c.end(), (0, ""))

    @staticmethod
    def polls(process):
        if process.poll() is not None:
            raise AssertionError(f"it ended: {process.stderr.read()}")
        with open(f"/proc/{process.pid}/syscall", encoding="ascii") as f:
            return f.read().startswith("7 ")  # poll(2) of x86-64
