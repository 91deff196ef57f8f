#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: main.py BUILD [PATTERN...]    (started by run.sh)"""

import os
import sys

import host
import suite
# Importing registers, in this order.
import t_start
import t_limits  # noqa: F401  pylint: disable=unused-import
import t_terminal  # noqa: F401  pylint: disable=unused-import
import t_log  # noqa: F401  pylint: disable=unused-import
import t_unit  # noqa: F401  pylint: disable=unused-import
import t_remove  # noqa: F401  pylint: disable=unused-import

if __name__ == "__main__":
    t_start.BUILD = sys.argv[1]
    os.makedirs(host.WORK, exist_ok=True)
    os.chdir(host.WORK)
    sys.exit(suite.run_all(sys.argv[2:]))
