# SPDX-License-Identifier: Apache-2.0
"""Tests in the order in which they were registered; each leaves the daemon as it found it: running."""

import os
import time
import traceback

import host

TESTS = []


def test(name):
    def add(function):
        TESTS.append((name, function))
        return function
    return add


class World:
    """A session that lives through all of it, but where a test says otherwise."""

    def __init__(self):
        self._live = None

    @property
    def live(self):
        if self._live is None:
            self._live = host.Live("beside")
            self._live.held()
        return self._live

    def end_live(self):
        if self._live:
            live, self._live = self._live, None
            host.equal(live.end(), 0, "the end of the session beside")

    def drop_live(self):
        """After a failure nothing is known about it."""
        if self._live:
            self._live.process.kill()
            self._live.process.wait()
            self._live = None


def run_one(world, name, function):
    start = time.monotonic()
    try:
        function(world)
        result, text = "ok", ""
    except Exception:  # pylint: disable=broad-except
        result, text = "FAILED", traceback.format_exc(limit=5)
        world.drop_live()
    print(f"{result:8}{name} ({time.monotonic() - start:.1f} s)" + (f"\n{text}" if text else ""),
          flush=True)
    return result == "ok"


def run_all(patterns):
    passed = failed = 0
    world = World()
    for name, function in TESTS:
        if patterns and not any(p in name for p in patterns):
            continue
        if run_one(world, name, function):
            passed += 1
            continue
        failed += 1
        if name.startswith("start"):
            break  # nothing else can work
    if os.path.exists(host.CANARY):
        print(f"FAILED  {host.CANARY} was written")
        failed += 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 0 if failed == 0 else 1
