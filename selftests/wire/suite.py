# SPDX-License-Identifier: Apache-2.0
"""Tests with ids, and the world that they run in."""

import sys
import traceback

from harness import Failure, Gate, Postgres

TESTS = []


class Skip(Exception):
    pass


def test(name):
    """Register a test; its name begins with the rows that it proves."""
    def add(function):
        TESTS.append((name, function))
        return function
    return add


def check(condition, what):
    if not condition:
        raise Failure(what)


class World:
    """One server and one gate for all tests that do not need their own."""

    def __init__(self, binary):
        self.binary = binary
        self.pg = Postgres()
        self._gate = None

    @property
    def gate(self):
        """A gate that lives: one that died is a failed test, and the next test gets another."""
        if self._gate is None:
            self._gate = Gate(self.binary, self.pg.port)
        return self._gate

    def new_gate(self, **kw):
        return Gate(self.binary, self.pg.port, **kw)

    def read(self, name):
        with open(f"{self.pg.dir}/{name}", encoding="ascii") as f:
            return f.read()

    def after(self):
        if self._gate and not self._gate.alive():
            log = self._gate.log()
            self._gate = None
            raise Failure(f"the gate died: {log}")

    def stop(self):
        try:
            if self._gate:
                check(self._gate.stop() == 0, "the gate did not end cleanly")
        finally:
            self.pg.stop()


def run_one(world, name, function):
    """The word for the result."""
    try:
        function(world)
        world.after()
        return "ok", ""
    except Skip as e:
        return "skipped", str(e)
    except Exception:  # pylint: disable=broad-except
        return "FAILED", traceback.format_exc(limit=4)


def run_all(binary, patterns, must_run):
    count = {"ok": 0, "FAILED": 0, "skipped": 0}
    world = World(binary)
    try:
        for name, function in TESTS:
            if patterns and not any(p in name for p in patterns):
                continue
            result, text = run_one(world, name, function)
            if result == "skipped" and must_run:
                result = "FAILED"
            count[result] += 1
            print(f"{result:8}{name}" + (f"\n{text}" if text else ""), flush=True)
    finally:
        try:
            world.stop()
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()
            count["FAILED"] += 1
        Gate.kill_all()
    print(f"{count['ok']} passed, {count['FAILED']} failed, {count['skipped']} skipped")
    return 0 if count["FAILED"] == 0 else 1


if __name__ == "__main__":
    sys.exit("run selftests/wire/run.sh")
