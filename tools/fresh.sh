#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tools/fresh.sh COMMAND...: runs COMMAND as root in a clean clone of this project's HEAD (/root/pinfold) on a
# bare Debian 12, made with mmdebstrap from the archive this host is configured with and thrown away after.
# All it has beyond that is make, so that the README's two commands can be said as they stand.
# The package archive is reachable from inside as from here; /proc, /sys and /dev are there; the network is
# the host's. Exit status: COMMAND's own, or 125 when the root could not be made.
set -euo pipefail
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

die() {
	printf 'fresh: %s\n' "$*" >&2
	exit 125
}

[ $# -gt 0 ] || { echo 'usage: tools/fresh.sh COMMAND...' >&2 && exit 2; }
[ "$(id -u)" -eq 0 ] || die "must run as root"
cd "$(dirname "$0")/.."
project=$PWD
for tool in mmdebstrap git unshare tar flock; do
	command -v "$tool" >/dev/null || die "'$tool' is missing: run tools/deps.sh"
done

# What apt needs to reach the archive: sources, keys, proxies and how names are found.
copy_apt() {
	local root=$1 etc=/etc/apt file
	rm -rf "$root/etc/apt/sources.list" "$root/etc/apt/sources.list.d"
	mkdir -p "$root/etc/apt/sources.list.d" "$root/etc/apt/apt.conf.d" "$root/usr/share/keyrings"
	for file in "$etc"/sources.list "$etc"/sources.list.d/*.sources "$etc"/sources.list.d/*.list \
		"$etc"/auth.conf; do
		[ ! -f "$file" ] || cp -L "$file" "$root$file"
	done
	cp -rLT $etc/trusted.gpg.d "$root$etc/trusted.gpg.d"
	cp -L /usr/share/keyrings/*.gpg "$root/usr/share/keyrings/" 2>/dev/null || true
	[ ! -d $etc/keyrings ] || cp -rLT $etc/keyrings "$root$etc/keyrings"
	[ ! -d $etc/auth.conf.d ] || cp -rLT $etc/auth.conf.d "$root$etc/auth.conf.d"
	apt-config dump | grep -iE '^Acquire::[^ ]*(proxy|check-valid-until|check-date|retries|cainfo)[^ ]* ' \
		>"$root/etc/apt/apt.conf.d/99host" || true
	cp -L /etc/hosts /etc/resolv.conf "$root/etc/"
}

make_base() {
	local base=$1 work
	work=$(mktemp -d build/fresh/base.XXXXXX)
	echo "fresh: making a Debian 12 root" >&2
	# Without a source of its own, mmdebstrap takes the host's.
	mmdebstrap --variant=minbase --include=make --format=tar bookworm "$work/root.tar" >"$work/log" 2>&1 || {
		tail -n 20 "$work/log" >&2
		die "mmdebstrap failed"
	}
	mv "$work/root.tar" "$base"
	rm -rf "$work"
}

mkdir -p build/fresh
base=build/fresh/base-make.tar
(
	flock 9
	[ -e $base ] || make_base $base
) 9>build/fresh/lock

root=$(mktemp -d "$project/build/fresh/root.XXXXXX")
clean_up() {
	# Whatever was mounted below went with the mount namespace.
	rm -rf --one-file-system "$root"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

tar -xf $base -C "$root" --exclude='./dev/*'
copy_apt "$root"
git clone -q --no-hardlinks "$project" "$root/root/pinfold"
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/old"

# A root folder that is a mount of its own, as on a machine; pivot_root leaves nothing of the host in sight.
# shellcheck disable=SC2016 # expanded by the inner shell
unshare --mount --pid --fork --kill-child --propagation private sh -ec '
	root=$1
	shift
	mount --bind "$root" "$root"
	cd "$root"
	mount -t proc proc proc
	mount --rbind /sys sys
	mount -t tmpfs -o mode=755 dev dev
	for node in null zero full random urandom tty kvm fuse net/tun; do
		[ -c "/dev/$node" ] || continue
		mkdir -p "dev/$(dirname "$node")"
		: >"dev/$node"
		mount --bind "/dev/$node" "dev/$node"
	done
	mkdir dev/pts dev/shm
	mount -t devpts -o newinstance,gid=5,mode=620,ptmxmode=666 devpts dev/pts
	mount -t tmpfs -o mode=1777 shm dev/shm
	ln -s pts/ptmx dev/ptmx
	ln -s /proc/self/fd dev/fd
	ln -s fd/0 dev/stdin
	ln -s fd/1 dev/stdout
	ln -s fd/2 dev/stderr
	mount -t tmpfs -o mode=755 run run
	mkdir run/lock
	chmod 1777 run/lock
	pivot_root . old
	cd /root/pinfold
	umount -l /old
	rmdir /old
	# Not exec: this shell stays as the one that collects orphans.
	env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root \
		LOGNAME=root SHELL=/bin/bash "TERM=${TERM:-dumb}" \
		${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@" || exit
' fresh "$root" "$@"
