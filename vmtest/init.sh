#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# PID 1 of the virtual machine's initramfs: loads the modules beside it, puts a throw-away layer over the
# host's read-only root and hands over to vmtest/guest.sh on it. Prints only when something fails.

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
for dir in /proc /sys /dev /run /tmp; do
	mkdir -p "/root$dir"
done
mount --move /dev /root/dev
mount --move /proc /root/proc
mount -t sysfs sys /root/sys
mount -t tmpfs -o mode=755 run /root/run
mkdir -p /root/run/vmtest/share
mount -t virtiofs share /root/run/vmtest/share || fail "cannot mount the exchange folder"

project=$(cat /root/run/vmtest/share/project)
[ -e "/root$project/vmtest/guest.sh" ] || fail "the project's folder $project is not in the share"
exec switch_root /root /bin/bash "$project/vmtest/guest.sh"
