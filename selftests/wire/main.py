# SPDX-License-Identifier: Apache-2.0
"""Entry: main.py GATE [PATTERN...]. WIRE_MUST_RUN=1 makes a skipped test a failure."""

import os
import sys

import suite
# Importing registers.
import t_protocol  # noqa: F401  pylint: disable=unused-import
import t_statements  # noqa: F401  pylint: disable=unused-import
import t_transactions  # noqa: F401  pylint: disable=unused-import
import t_clients  # noqa: F401  pylint: disable=unused-import
import t_upstream  # noqa: F401  pylint: disable=unused-import
import t_limits  # noqa: F401  pylint: disable=unused-import
import t_classify  # noqa: F401  pylint: disable=unused-import

if __name__ == "__main__":
    sys.exit(suite.run_all(sys.argv[1], sys.argv[2:], os.environ.get("WIRE_MUST_RUN") == "1"))
