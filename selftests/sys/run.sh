#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The escape catalogue on this kernel: installs the product, starts pinfoldd and lets drive.py attack. Run
# it in a virtual machine, as root (vmtest/vmtest.sh -- selftests/sys/run.sh): it changes the system's
# users, addresses and mounts. Arguments go to drive.py. Results: $VMTEST_OUT/sys.tsv.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${PF_BUILD:-build/gcc}
out=${VMTEST_OUT:-/tmp}

# shellcheck source=selftests/sys/lib.sh
. selftests/sys/lib.sh
install_product "$build"
launch_daemon "$out/pinfoldd.log"
status=0
/usr/bin/python3 -B selftests/sys/drive.py --build "$build" --out "$out/sys.tsv" "$@" || status=$?
cp -f /var/log/pinfold/audit.jsonl "$out/sys-audit.jsonl" 2>/dev/null || :
stop_daemon
exit $status
