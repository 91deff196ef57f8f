#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The demonstration: an agent session against a real PostgreSQL. Runs here when this kernel can enforce and
# no pinfoldd is at work on it, in a virtual machine by itself otherwise. usage: run.sh [-k KERNEL]
set -eu
cd "$(dirname "$0")/.."
kernel=
while getopts k: opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	*)
		echo "usage: demo/run.sh [-k 6.1|6.1-preempt|6.12|7]" >&2
		exit 2
		;;
	esac
done
[ "$(id -u)" -eq 0 ] || {
	echo "demo: needs root: it starts a PostgreSQL, loads BPF programs and makes namespaces" >&2
	exit 1
}

make -j"$(nproc)" all build/pgdata.tar

colour=plain
[ -t 1 ] && [ -z "${NO_COLOR-}" ] && colour=colour

can_enforce() {
	[ -r /sys/kernel/btf/vmlinux ] && grep -qw bpf /sys/kernel/security/lsm 2>/dev/null &&
		[ ! -e /sys/fs/bpf/pinfold ] && [ -f /sys/fs/cgroup/cgroup.controllers ]
}

if [ -z "$kernel" ] && can_enforce; then
	exec unshare --mount --net --propagation private demo/inside.sh "$colour"
fi
echo "demo: in a virtual machine with kernel ${kernel:-6.1} (this kernel cannot enforce, or is in use)"
exec vmtest/vmtest.sh -k "${kernel:-6.1}" -- demo/inside.sh "$colour"
