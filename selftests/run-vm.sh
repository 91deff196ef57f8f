#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Everything that needs a kernel that enforces, inside the VM: the programs alone (bpf), then the whole product
# (sys, daemon). What is decided in user space is shown on the newest kernel of the matrix only.
# Adds up the suites' closing lines.
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 skipped=0
suites=(selftests/bpf/run.sh selftests/sys/run.sh)
case ${VMTEST_KERNEL-} in
6.1 | 6.1-preempt | 6.12) ;;
*) suites+=(selftests/sys/start.sh selftests/daemon/run.sh) ;;
esac
for suite in "${suites[@]}"; do
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
