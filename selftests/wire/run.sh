#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The gate in front of a real PostgreSQL, spoken to by real clients and by raw sockets. Needs no
# kernel enforcement: the harness stands where pinfoldd stands. Closes with
# "N passed, N failed, N skipped".
#   selftests/wire/run.sh [PATTERN...]     tests whose name holds one of the patterns
#   GATE=path       the binary (default: the one that make built)
#   WIRE_MUST_RUN=1 a skipped test is a failed one
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
gate=${GATE:-$root/build/gcc/bin/pinfold-gate}
[ -x "$gate" ] || { echo "run.sh: $gate is missing: run make" >&2; exit 1; }
# The distribution's python: it is the one that has psycopg2.
exec /usr/bin/python3 -B "$here/main.py" "$gate" "$@"
