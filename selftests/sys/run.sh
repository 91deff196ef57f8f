#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The escape catalogue on this kernel: installs the product, lets drive.py start pinfoldd and attack, then
# kills Pinfold's processes at random points (kill9.py). Run it in a virtual machine, as root
# (vmtest/vmtest.sh -- selftests/sys/run.sh): it changes the system's users, addresses and mounts.
#
# Arguments go to drive.py, and leave the others out. PF_KILLS: rounds of it (25; the matrix has four
# kernels), PF_RACE_TRIES and PF_OPEN_TRIES: see rows.tsv. Results: $VMTEST_OUT/sys.tsv.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${PF_BUILD:-build/gcc}
out=${VMTEST_OUT:-/tmp}

# shellcheck source=selftests/sys/lib.sh
. selftests/sys/lib.sh
install_product "$build" || exit 1
status=0
log=$(mktemp)
/usr/bin/python3 -B selftests/sys/drive.py --build "$build" --out "$out/sys.tsv" --log "$out/pinfoldd.log" "$@" |
	tee "$log"
status=${PIPESTATUS[0]}
if [ $# -eq 0 ]; then
	/usr/bin/python3 -B selftests/sys/kill9.py --build "$build" --rounds "${PF_KILLS:-25}" | tee -a "$log"
	[ "${PIPESTATUS[0]}" -eq 0 ] || status=1
fi
cp -f /var/log/pinfold/audit.jsonl "$out/sys-audit.jsonl" 2>/dev/null
sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$log" | awk '
	{ p += $1; f += $2; s += $3 }
	END { print p + 0 " passed, " f + 0 " failed, " s + 0 " skipped" }'
exit "$status"
