#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Suites in the virtual machine, one after the other; adds up their closing lines. Without arguments what every
# kernel has to show: the programs alone, and the escape catalogue. usage: run-vm.sh [SUITE...]   (their scripts)
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 skipped=0
[ $# -gt 0 ] || set -- selftests/bpf/run.sh selftests/sys/run.sh
for suite; do
	echo "== $suite on $(uname -r)"
	out=$(mktemp)
	"$suite" 2>&1 | tee "$out"
	rc=${PIPESTATUS[0]}
	read -r p f s < <(grep -oE '[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?' "$out" | tail -n 1 |
		grep -oE '[0-9]+' | tr '\n' ' ')
	[ -n "${p-}" ] || echo "$suite: no closing line"
	if [ -z "${p-}" ] || { [ "$rc" -ne 0 ] && [ "${f:-0}" -eq 0 ]; }; then f=$((${f:-0} + 1)); fi
	passed=$((passed + ${p:-0})) failed=$((failed + f)) skipped=$((skipped + ${s:-0}))
	rm -f "$out"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
