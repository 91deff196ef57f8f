#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No function of more than 100 lines. In the layout that check-format enforces a function body opens
# with a "{" and closes with a "}" in column 1.
set -u
cd "$(dirname "$0")/.." || exit 1
git ls-files -co --exclude-standard -- '*.c' '*.bpf.h' | while read -r f; do [ -f "$f" ] && echo "$f"; done |
	xargs -r awk -v max=100 '
	FNR == 1 { start = 0 }
	/^\{/ { start = FNR }
	/^\}/ && start {
		if (FNR - start - 1 > max) {
			printf "%s:%d: function of %d lines (limit %d)\n", FILENAME, start, FNR - start - 1, max
			bad = 1
		}
		start = 0
	}
	END { exit bad }'
