#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of this folder and closes with "N passed, N failed".

usage: run.py PINFOLD RELAY_PEER [TEST...]    (commands_test.Commands.test_help, relay_test.Batch)
"""
import signal
import sys
import unittest

sys.dont_write_bytecode = True  # nothing of ours outside build/
MODULES = ["commands_test", "classify_test", "relay_test"]  # these look at the two programs in sys.argv
DEADLINE = 120  # seconds for one test


def too_long(*_):
    raise TimeoutError(f"the test did not end within {DEADLINE} s")


class Result(unittest.TextTestResult):
    """A test that waits for ever is a failure that says where it waited."""

    def startTest(self, test):
        signal.alarm(DEADLINE)
        super().startTest(test)

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)


def as_from_a_terminal():
    """nohup and background jobs leave signals ignored, which every program below would inherit."""
    for sig in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(sig, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, too_long)


def main():
    as_from_a_terminal()
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[3:] or MODULES)
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout, resultclass=Result).run(suite)
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, "
          f"{len(result.skipped)} skipped")
    return bad > 0 or result.testsRun == 0


if __name__ == "__main__":
    sys.exit(main())
