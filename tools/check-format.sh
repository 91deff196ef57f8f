#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every C file is as clang-format 14 lays it out by .clang-format. Another version would differ in
# details, so it is refused.
set -u
cd "$(dirname "$0")/.." || exit 1
tool=$(command -v clang-format-14 || command -v clang-format)
"$tool" --version 2>/dev/null | grep -q 'version 14\.' || {
	echo "check-format: clang-format 14 is needed (tools/deps.sh installs it)" >&2
	exit 1
}
git ls-files -co --exclude-standard -- '*.c' '*.h' | while read -r f; do [ -f "$f" ] && echo "$f"; done |
	xargs -r "$tool" --dry-run -Werror
