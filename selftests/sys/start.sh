#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What surrounds a session (start.py), with the product installed. As root, in a virtual machine only: it
# changes the system's users and mounts. Arguments go to start.py.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${PF_BUILD:-build/gcc}

# shellcheck source=selftests/sys/lib.sh
. selftests/sys/lib.sh
install_product "$build" || exit 1
exec /usr/bin/python3 -B selftests/sys/start.py --build "$build" --log "${VMTEST_OUT:-/tmp}/pinfoldd.log" "$@"
