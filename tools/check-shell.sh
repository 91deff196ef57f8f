#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the shell linter over every shell script of the tree.
set -u
cd "$(dirname "$0")/.." || exit 1
mapfile -t files < <(git ls-files -co --exclude-standard | while read -r f; do
	[ -f "$f" ] && head -c 64 "$f" | head -n 1 | grep -qE '^#!.*\b(ba)?sh\b' && echo "$f"
done)
shellcheck -x "${files[@]}"
