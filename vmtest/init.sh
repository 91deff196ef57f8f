#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# PID 1 of the virtual machine's initramfs: loads the modules beside it, puts a throw-away layer over the
# host's read-only root, mounts what a running system has, and hands over to vmtest/guest.sh. Prints
# only when something fails.

fail() {
	echo "vmtest-init: $*"
	# With panic=-1 on the command line the end of PID 1 ends the machine.
	exit 1
}

/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev || fail "no devtmpfs"
exec </dev/null >/dev/console 2>&1
mount -t proc proc /proc || fail "no proc"

for module in /modules/*.ko; do
	insmod "$module" || fail "cannot load $module"
done

mount -t virtiofs -o ro root /lower || fail "cannot mount the host's root"
mount -t tmpfs -o mode=755,size=75% layer /layer || fail "no tmpfs"
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work root /root ||
	fail "no overlay"

# The host's mounts are not seen through the share: these are bare directories, or absent.
cd /root || fail "no /root"
mkdir -p proc sys dev run tmp
mount --move /dev dev
mount --move /proc proc
mount -t sysfs sys sys
mount -t tmpfs -o mode=755 run run
mkdir -p run/vmtest/share run/lock dev/pts dev/shm dev/mqueue
chmod 1777 run/lock
mount -t virtiofs share run/vmtest/share || fail "cannot mount the exchange folder"
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev shm dev/shm
mount -t mqueue mqueue dev/mqueue
mount -t securityfs securityfs sys/kernel/security
mount -t bpf -o mode=700 bpf sys/fs/bpf || fail "no bpffs"
mount -t cgroup2 -o nsdelegate cgroup2 sys/fs/cgroup || fail "no cgroup v2"
mount -t tracefs tracefs sys/kernel/tracing
mount -t debugfs debugfs sys/kernel/debug
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
project=$(cat run/vmtest/share/project)
# A project below /tmp must stay visible; there the layer over the root has to do.
case $project in
/tmp/*) ;;
*) mount -t tmpfs -o mode=1777,nosuid,nodev tmp tmp ;;
esac

[ -e "/root$project/vmtest/guest.sh" ] || fail "the project's folder $project is not in the share"
exec switch_root /root /bin/bash "$project/vmtest/guest.sh"
