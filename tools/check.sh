#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every test; the longest suite first, then what fails fastest. Each suite closes with a line "N passed, N failed"
# (", N skipped"); this adds them up and closes with the same line. A suite that exits non-zero without
# counting a failure, or that closes without the line, is a failure of its own.
# usage: check.sh [SUITE...]   (default: all)
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 skipped=0
broken=()
logs=build/check
mkdir -p "$logs"

# Run a suite; its output goes to its log, its exit status and time to files beside it.
run() {
	local name=$1 start=$SECONDS rc=0
	shift
	"$@" >"$logs/$name.log" 2>&1 </dev/null || rc=$?
	printf '%d %d\n' "$rc" $((SECONDS - start)) >"$logs/$name.result"
}

# Add up what a finished suite left; what failed is shown whole.
account() {
	local name=$1 rc=1 seconds=0 line p f s
	read -r rc seconds <"$logs/$name.result"
	line=$(grep -oE '[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?' "$logs/$name.log" | tail -n 1)
	read -r p f s < <(grep -oE '[0-9]+' <<<"$line" | tr '\n' ' ')
	passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0})) skipped=$((skipped + ${s:-0}))
	if [ -z "$line" ] || { [ "$rc" -ne 0 ] && [ "${f:-0}" -eq 0 ]; }; then
		failed=$((failed + 1))
	fi
	if [ -z "$line" ] || [ "$rc" -ne 0 ]; then
		broken+=("$name")
		tail -n 200 "$logs/$name.log" | sed 's/^/   /'
	fi
	printf '== %-14s %s (exit %d, %d s)\n' "$name" "${line:-no closing line}" "$rc" "$seconds"
}

# A build has no cases of its own: it counts as one.
build() {
	if make -j"$(nproc)" "$@"; then echo "1 passed, 0 failed"; else
		echo "0 passed, 1 failed"
		return 1
	fi
}

# Each run has a folder for its results; docs/ESCAPES.md is made of those.
kernel() {
	rm -rf "$logs/kernel-$1"
	vmtest/vmtest.sh -k "$1" -t 3600 -o "$logs/kernel-$1" -- selftests/run-vm.sh
}

# What is decided in user space is shown on the newest kernel only.
product() {
	rm -rf "$logs/product"
	vmtest/vmtest.sh -k 7 -t 3600 -o "$logs/product" -- \
		selftests/run-vm.sh selftests/sys/start.sh selftests/daemon/run.sh
}

declare -A suites=()
order=()
add() {
	order+=("$1")
	suites[$1]=${*:2}
}
add build-gcc build all tests
add product product
add lint make lint
add unit make unit
add build-clang build CC=clang all tests
add unit-san make SAN=1 unit
add cli make cli-tests
add wire selftests/wire/run.sh
for k in 7 6.12 6.1 6.1-preempt; do add "kernel-$k" kernel "$k"; done
add host vmtest/vmtest.sh -k 7 -c 1 -t 2400 -o $logs/host -s -- selftests/host/run.sh
add vmtest vmtest/selftest.sh
add coverage selftests/sys/table.sh

wanted=("${@:-${order[@]}}")
declare -A running=()
# Wait for one of the suites that run, and account for it.
collect() {
	local pid
	wait -n -p pid "${!running[@]}" || true
	account "${running[$pid]}"
	unset "running[$pid]"
}

# Two at a time, for two processors; a suite by itself where all that follow, or come before, are needed.
rm -f "$logs"/*.result
for name in "${wanted[@]}"; do
	[ -n "${suites[$name]-}" ] || {
		echo "check: no suite '$name' (there are: ${order[*]})" >&2
		exit 2
	}
done
for name in "${wanted[@]}"; do
	beside=1
	[ "$name" != coverage ] || beside=0
	while [ ${#running[@]} -gt $beside ]; do collect; done
	# shellcheck disable=SC2086 # a suite is a command and its words
	run "$name" ${suites[$name]} &
	running[$!]=$name
	[ "$name" != build-gcc ] || collect
done
while [ ${#running[@]} -gt 0 ]; do collect; done

[ ${#broken[@]} -eq 0 ] || echo "failed: ${broken[*]} (logs in $logs/)"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ ${#broken[@]} -eq 0 ]
