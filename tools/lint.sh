#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All checks of the source itself. usage: lint.sh GEN_DIR PINFOLD; closes with "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
run() {
	local name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		echo "lint: $name failed" >&2
		failed=$((failed + 1))
	fi
}
run format tools/check-format.sh
run layers tools/check-layers.sh
run functions tools/check-functions.sh
run headers tools/check-headers.sh "$1"
run shell tools/check-shell.sh
run docs tools/check-docs.sh "$2"
echo "lint: $passed passed, $failed failed"
[ $failed -eq 0 ]
