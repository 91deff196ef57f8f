#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What pinfoldd promises to those who use it, on this kernel: installs the product and runs daemon_test.py.
# Run it in a virtual machine, as root (vmtest/vmtest.sh -- selftests/daemon/run.sh). Arguments: tests
# (Why.test_inside ...); none: all.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

# shellcheck source=selftests/sys/lib.sh
. selftests/sys/lib.sh
install_product "${PF_BUILD:-build/gcc}" || exit 1
exec /usr/bin/python3 -B selftests/daemon/daemon_test.py "$@"
