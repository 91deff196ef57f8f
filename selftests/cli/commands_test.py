# SPDX-License-Identifier: Apache-2.0
"""What the commands of pinfold promise without a daemon: help, usage errors, failures, JSON, exit
statuses, and "policy check" with its places.

Run by run.py.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PINFOLD = os.path.abspath(sys.argv[1])
POLICIES = pathlib.Path(__file__).resolve().parents[2] / "examples/policies"
ENV = dict(os.environ, PINFOLD_SOCKET="/nonexistent/ctl.sock")


def run(*argv, **kw):
    return subprocess.run([PINFOLD, *argv], env=ENV, capture_output=True, text=True, timeout=20,
                          **kw)


def commands():
    return re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", run("help").stdout, re.M)


class Commands(unittest.TestCase):
    def assert_one_line(self, r, status):
        self.assertEqual(r.returncode, status, r)
        self.assertEqual(r.stdout, "")
        self.assertRegex(r.stderr, r"\Apinfold[^\n]*\n\Z")

    def test_help(self):
        self.assertGreaterEqual(len(commands()), 10)
        for argv in (["help"], ["--help"], ["-h"]):
            r = run(*argv)
            self.assertEqual((r.returncode, r.stderr), (0, ""))
        for c in commands():
            for argv in ([*c.split(), "--help"], ["help", *c.split()]):
                r = run(*argv)
                self.assertEqual((r.returncode, r.stderr), (0, ""), argv)
                self.assertIn(f"usage: pinfold {c} ", r.stdout)

    def test_nothing_in_json_acts_on_a_terminal(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/\x9b31m\u202e\x1b.yaml"
            shutil.copy(POLICIES / "analyst.yaml", path)
            r = run("policy", "check", "--json", path)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertEqual(json.loads(r.stdout)["file"], path)
        self.assertTrue(r.stdout.rstrip("\n").isprintable() and r.stdout.isascii(), r.stdout)

    def test_usage_errors(self):
        for argv in ([], ["nonsense"], ["p"], ["policy"], ["policy", "chec", "x"], ["--nonsense"],
                     ["ps", "--js"], ["ps", "--json=1"], ["ps", "-x"], ["ps", "extra"],
                     ["logs"], ["logs", "a", "b"], ["logs", "-n", "0", "a"], ["logs", "-n"],
                     ["logs", "--lines", "1x", "a"], ["kill"], ["kill", "-s", "FOO", "a"],
                     ["kill", "-s", "0", "a"], ["panic", "x"], ["panic", "-x"], ["policy", "check"],
                     ["policy", "load"], ["policy", "load", "a"], ["policy", "load", "-p", "x"],
                     ["policy", "load", "-p", "x", "a", "b"], ["doctor", "x"],
                     ["unlock"], ["unlock", "--"], ["unlock", "--json", "true"],
                     ["help", "nonsense"], ["run"], ["run", "--"], ["run", "-e", "x", "true"],
                     ["run", "-n", "A", "true"], ["run", "--polic", "x", "true"]):
            with self.subTest(argv=argv):
                self.assert_one_line(run(*argv), 2)

    def test_no_daemon(self):
        for argv, status in ((["ps"], 1), (["ps", "--json"], 1), (["logs", "a"], 1),
                             (["kill", "a"], 1), (["why", "a"], 1), (["audit", "tail"], 1),
                             (["policy", "load", "-p", "x", "a"], 1), (["run", "true"], 125)):
            with self.subTest(argv=argv):
                r = run(*argv)
                self.assert_one_line(r, status)
                self.assertIn("pinfoldd does not run", r.stderr)

    def test_panic(self):
        """Never as root with this machine's own sessions in sight."""
        r = run("panic") if os.geteuid() != 0 else self.as_nobody("panic")
        self.assert_one_line(r, 1)
        self.assertIn("only root", r.stderr)

    def test_unlock(self):
        r = self.as_nobody("unlock", "true") if os.geteuid() == 0 else run("unlock", "true")
        self.assert_one_line(r, 125)
        self.assertIn("only root", r.stderr)

    @unittest.skipIf(os.geteuid() != 0, "only root may")
    def test_unlock_with_nothing_loaded(self):
        script = "mount -t tmpfs none /sys/fs && exec \"$0\" unlock echo run"
        r = subprocess.run(["unshare", "-m", "sh", "-c", script, PINFOLD], env=ENV,
                           capture_output=True, text=True, timeout=20)
        self.assert_one_line(r, 125)
        self.assertIn("nothing to unlock", r.stderr)

    @staticmethod
    def as_nobody(*argv):
        with tempfile.TemporaryDirectory() as d:
            os.chmod(d, 0o755)
            copy = shutil.copy(PINFOLD, d)
            return subprocess.run([copy, *argv], env=ENV, capture_output=True, text=True,
                                  timeout=20, cwd="/", user=65534, group=65534, extra_groups=[])

    @unittest.skipIf(os.geteuid() != 0, "only root may")
    def test_panic_with_nothing_loaded(self):
        script = "mount -t tmpfs none /sys/fs && exec \"$0\" panic --json"
        r = subprocess.run(["unshare", "-m", "sh", "-c", script, PINFOLD], env=ENV,
                           capture_output=True, text=True, timeout=20)
        self.assertEqual((r.returncode, r.stdout, r.stderr), (0, '{"sessions":[]}\n', ""))

    def test_options_after_operands(self):
        r = run("policy", "check", str(POLICIES / "default.yaml"), "--json")
        self.assertEqual(r.returncode, 0)
        self.assertTrue(json.loads(r.stdout)["valid"])
        # but not those of the program that is run
        self.assertEqual(run("run", "true", "--nonsense").returncode, 125)

    def test_version(self):
        r = run("version", "--json")
        self.assertEqual(r.returncode, 0)
        v = json.loads(r.stdout)
        self.assertIsNone(v["daemon"])
        self.assertRegex(v["version"], r"^\d+\.\d+\.\d+$")
        self.assertIn("does not run", run("--version").stdout)

    def test_doctor(self):
        r = run("doctor", "--json")
        self.assertEqual(r.returncode, 1)
        d = json.loads(r.stdout)
        self.assertFalse(d["healthy"])
        names = {c["name"]: c for c in d["checks"]}
        self.assertEqual(set(names), {"kernel", "btf", "lsm", "cgroup2", "bpffs", "core dumps",
                                      "pinfoldd"})
        for c in names.values():
            self.assertEqual(c["ok"], c["advice"] is None, c)
        self.assertNotIn("\033", run("doctor").stdout)

    def test_policy_check(self):
        for f in POLICIES.glob("*.yaml"):
            self.assertEqual(run("policy", "check", str(f)).returncode, 0, f)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write("pinfold: 1\nname: x\nfiles:\n  wirte: [ /a ]\n")
            f.flush()
            r = run("policy", "check", f.name)
            self.assert_one_line(r, 1)
            self.assertIn(f"{f.name}:4:3: unknown key \"wirte\"", r.stderr)
            r = run("policy", "check", "--json", f.name)
            self.assertEqual(r.returncode, 1)
            e = json.loads(r.stdout)
            self.assertEqual((e["valid"], e["line"], e["column"]), (False, 4, 3))
        self.assert_one_line(run("policy", "check", "/nonexistent"), 1)
        r = run("policy", "check", "-", input="pinfold: 1\nname: x\n")
        self.assertEqual(r.returncode, 0)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            r = subprocess.run([PINFOLD, "help"], env=ENV, stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(r.returncode, 1)
        self.assertIn(b"No space left", r.stderr)

    def test_untrusted_text_is_escaped(self):
        r = run("policy", "check", "-", input="pinfold: 1\nname: x\n\"k\u00e9\": 1\n")
        self.assertIn("k\u00e9", r.stderr)
        r = run("policy", "check", "-", input="pinfold: 1\nname: \"\\e[31m\"\n")
        self.assertEqual(r.returncode, 1)
        self.assertNotIn("\033", r.stderr)
