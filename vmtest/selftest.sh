#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# vmtest/selftest.sh [KERNEL]: proves what vmtest.sh promises, so that a green run of another test means
# something: exit status, output, input and arguments exact, the host untouched, kernel warnings and hangs found.
# Takes about a minute and a half without KVM. Ends with "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C

kernel=${1:-6.1}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/tmp"
export TMPDIR=$dir/tmp
passed=0 failed=0

check() {
	local name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
		echo "ok   $name"
	else
		failed=$((failed + 1))
		echo "FAIL $name"
		tail -c 300 "$dir/out" "$dir/err" | cat -v
	fi
}

# Runs a command in the machine; leaves $dir/out, $dir/err and $status.
vm() {
	status=0
	vmtest/vmtest.sh -k "$kernel" "$@" >"$dir/out" 2>"$dir/err" || status=$?
}

same() {
	cmp -s "$1" "$2"
}

# --- One machine for everything that a single command can show.

# shellcheck disable=SC2016 # expanded in the machine
script='
	printf "<%s>" "$@" >"$VMTEST_OUT/arguments"
	cat >"$VMTEST_OUT/input"
	{ id -u; pwd; cat /sys/kernel/security/lsm; echo; stat -fc %T /sys/fs/bpf /sys/fs/cgroup; uname -r
	  cat /sys/class/net/lo/flags; cat /sys/fs/cgroup/cgroup.subtree_control
	  echo "${SELFTEST_LEAK-clean}"; } >"$VMTEST_OUT/facts"
	touch selftest-was-here /selftest-was-here
	mount -o remount,rw / && rm -rf /etc/hostname
	modprobe xfs || exit 1
	(setsid sleep 1000 &)
	printf "a\r\nb\0\377 no newline at the end"
	head -c 300000 /dev/zero | tr "\0" e >/dev/stderr
	exit 7
'
arguments=('' ' two  words ' $'a\nb' '"quoted" '\''and'\''' "\$HOME \`id\` \\" $'\xc3\xa4\xff\x01' -- -k '*')
out=build/vm/out/$kernel
rm -rf "$out"
printf '<%s>' "${arguments[@]}" >"$dir/arguments"
head -c 200000 /dev/urandom >"$dir/input"
printf 'a\r\nb\0\377 no newline at the end' >"$dir/want-out"
head -c 300000 /dev/zero | tr '\0' e >"$dir/want-err"
SELFTEST_LEAK=1 vm -- bash -c "$script" bash "${arguments[@]}" <"$dir/input"
check "exit status 7" test "$status" -eq 7
check "standard output, byte for byte" same "$dir/out" "$dir/want-out"
check "standard error, byte for byte" same "$dir/err" "$dir/want-err"
check "arguments, byte for byte" same "$out/arguments" "$dir/arguments"
check "standard input, byte for byte" same "$out/input" "$dir/input"
check "root" grep -qx 0 "$out/facts"
check "the project's folder" grep -qxF "$PWD" "$out/facts"
check "BPF LSM" grep -qE '(^|,)bpf(,|$)' "$out/facts"
check "bpffs" grep -qx bpf_fs "$out/facts"
check "loopback up" grep -qx 0x9 "$out/facts"
check "cgroup v2" grep -qx cgroup2fs "$out/facts"
check "controllers" grep -qE 'cpu.* memory.* pids' "$out/facts"
check "a kernel of the matrix" grep -qE "^${kernel%-*}\." "$out/facts"
check "clean environment" grep -qx clean "$out/facts"
check "the host's files are untouched" test ! -e selftest-was-here -a ! -e /selftest-was-here
check "kernel log kept" grep -q 'Linux version' "build/vm/$kernel/console.log"

# --- Ends of other kinds.

vm -- sh -c 'kill -9 $$' </dev/null
check "killed by a signal: 137" test "$status" -eq 137
vm -- /no/such/program </dev/null
check "no such program: 127" test "$status" -eq 127
check "no such program is named" grep -q /no/such/program "$dir/err"

vm -- sh -c 'echo "<4>------------[ cut here ]------------" >/dev/kmsg; echo "<4>made up" >/dev/kmsg' </dev/null
check "a kernel warning fails the run" test "$status" -eq 125
check "a kernel warning is shown" grep -q 'made up' "$dir/err"

vm -- sh -c 'echo before; echo c >/proc/sysrq-trigger; sleep 1000' </dev/null
check "a panic fails the run" test "$status" -eq 125
check "a panic is shown" grep -q 'Kernel panic' "$dir/err"
check "output before a panic is kept" grep -qx before "$dir/out"

vm -t 40 -- sh -c 'echo before; sleep 1000' </dev/null
check "a hang is ended: 124" test "$status" -eq 124
check "output before a hang is kept" grep -qx before "$dir/out"

# --- What needs no machine.

kernel=5.4 vm -- true </dev/null
check "an unknown kernel is named" grep -q "5.4" "$dir/err"
check "an unknown kernel: usage error" test "$status" -eq 2
mkdir "$dir/bin"
for tool in bash env realpath id dirname cat; do ln -s "$(command -v $tool)" "$dir/bin/$tool"; done
PATH=$dir/bin vmtest/vmtest.sh -- true >"$dir/out" 2>"$dir/err" </dev/null
status=$?
check "a missing tool is an error" test $status -eq 125
check "a missing tool is named" grep -q "'[a-z0-9_-]*' is missing: run tools/deps.sh" "$dir/err"
VMTEST_ACCEL=nonsense vm -- true </dev/null
check "an unknown accelerator is an error" test "$status" -eq 125

check "nothing is left behind" test -z "$(ls "$TMPDIR")"

echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
