#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of this folder and closes with "N passed, N failed".

usage: run.py PINFOLD RELAY_PEER [TEST...]    (commands_test.Commands.test_help, relay_test.Batch)
"""
import sys
import unittest

sys.dont_write_bytecode = True  # nothing of ours outside build/
MODULES = ["commands_test", "relay_test"]  # these look at the two programs in sys.argv


def main():
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[3:] or MODULES)
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, "
          f"{len(result.skipped)} skipped")
    return bad > 0 or result.testsRun == 0


if __name__ == "__main__":
    sys.exit(main())
