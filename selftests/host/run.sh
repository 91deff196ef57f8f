#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The installed product as a host's operator has it: the unit under a real systemd, limits, log rotation, a
# full disk, terminals, upgrade and removal. Installs into the system it runs on, so run it in a virtual
# machine: vmtest/vmtest.sh -k 7 -s -- selftests/host/run.sh [PATTERN...]
# A pattern picks tests by name; the first ones ("start:") are always needed.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${PF_BUILD:-build/gcc}
[ "$(cat /proc/1/comm)" = systemd ] || {
	echo "run.sh: systemd is not PID 1 here: vmtest/vmtest.sh -s"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}
# The distribution's python.
/usr/bin/python3 -B selftests/host/main.py "$PWD/$build" ${1:+start: "$@"}
status=$?
journalctl -q --no-pager -u pinfoldd >"${VMTEST_OUT:-/tmp}/host-journal.log" 2>&1
cp -f /var/log/pinfold/audit.jsonl "${VMTEST_OUT:-/tmp}/host-audit.jsonl" 2>/dev/null
exit $status
