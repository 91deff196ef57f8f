#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes docs/ESCAPES.md of the results that tools/check.sh left. Fails when a kernel of the matrix
# has no results, or a row did not hold or did not run on one.
set -euo pipefail
cd "$(dirname "$0")/../.."
results=()
for kernel in 6.1 6.1-preempt 6.12 7; do
	file=build/check/kernel-$kernel/sys.tsv
	[ -s "$file" ] || {
		echo "table: no results of kernel $kernel ($file)"
		echo "0 passed, 1 failed, 0 skipped"
		exit 1
	}
	results+=("$file")
done
exec /usr/bin/python3 -B selftests/sys/table.py docs/ESCAPES.md "${results[@]}"
