#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run the given cmocka programs one after the other and close with "N passed, N failed, N skipped".
set -u
passed=0 failed=0 skipped=0
for t in "$@"; do
	out=$("$t" 2>&1)
	rc=$?
	p=$(grep -c '^\[       OK \]' <<<"$out")
	f=$(grep -c '^\[  FAILED  \] .*[a-z_]$' <<<"$out")
	s=$(grep -c '^\[  SKIPPED \]' <<<"$out")
	if [ $rc -ne 0 ]; then
		[ "$f" -gt 0 ] || f=1
		printf '%s\n' "$out"
	fi
	printf '%-32s %s\n' "$(basename "$t")" "$([ $rc -eq 0 ] && echo ok || echo "FAILED (exit $rc)")"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
