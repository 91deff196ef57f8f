#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PID 1 of the virtual machine once vmtest/init.sh has mounted everything: runs the command of the exchange
# folder on the host's root under a throw-away layer, leaves its output and exit status there, ends the machine.
# In the exchange folder: project, key, env, command, idle, tty, systemd from the host; stdout, stderr, status
# back. With systemd there, that becomes PID 1, and a unit starts this script once more: "guest.sh unit".
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
share=/run/vmtest/share
project=$(<$share/project)

power_off() {
	# The serial console has no buffer of its own, and the exchange folder is written through.
	echo b >/proc/sysrq-trigger
	while :; do read -rt 60 <>/dev/console; done
}

fail() {
	echo "vmtest-guest: $*" | tee "$share/failed" >/dev/console
	power_off
}

modules() {
	local release
	release=$(uname -r)
	mkdir -p "/lib/modules/$release"
	mount --bind "$(<$share/modules)" "/lib/modules/$release"
}

# The kernel patches its own code when features are first used, and the emulator may run a half of that on another
# processor, which the kernel takes for a fault (int3): so the machine boots with one (maxcpus=1). What is patched
# often, and runs all the time, is the scheduler, with the first quota that is set and the last that goes: one stays.
# Systemd takes the controller away again: there the unit of the command has the quota.
keep_quota() {
	mkdir /sys/fs/cgroup/vmtest
	echo "100000 100000" >/sys/fs/cgroup/vmtest/cpu.max
}

all_processors() {
	local online
	for online in /sys/devices/system/cpu/cpu*/online; do
		[ ! -e "$online" ] || echo 1 >"$online"
	done
}

settings() {
	local controller
	for controller in cpu memory pids io; do
		echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
	done
	[ -e $share/systemd ] || keep_quota
	# As udev has them on a running system.
	chmod -f 666 /dev/fuse /dev/net/tun
	ip link set lo up
	hostname pinfold-vm
	grep -q pinfold-vm /etc/hosts || echo '127.0.1.1 pinfold-vm' >>/etc/hosts
	ulimit -Hn 524288
	ulimit -Sn 1024
	[[ ,$(</sys/kernel/security/lsm), == *,bpf,* ]] ||
		fail "this kernel has no BPF LSM: $(</sys/kernel/security/lsm)"
}

# Waits until the machine has done nothing for two seconds: workers of the boot would be counted too.
wait_idle() {
	local quiet=0 tries=0 before after idle
	while [ $quiet -lt 2 ]; do
		[ $((tries += 1)) -le 120 ] || fail "the machine does not become idle"
		read -r _ _ _ _ before _ </proc/stat
		read -rt 1 <>/dev/null || sleep 1
		read -r _ _ _ _ after _ </proc/stat
		idle=$((after - before))
		# In ticks of 10 ms: one second less two percent.
		if [ $idle -ge 98 ]; then quiet=$((quiet + 1)); else quiet=0; fi
	done
}

# The host's side puts one byte in front, so that a connection not yet there is not taken for the end.
open_stdin() {
	local port
	if [ ! -e $share/stdin ]; then
		exec 4</dev/null
		return
	fi
	modprobe -q virtio_console
	for port in /sys/class/virtio-ports/*; do
		[ "$(<"$port/name")" = stdin ] && break
	done
	exec 5<"/dev/${port##*/}" || fail "no port for standard input"
	until [ -n "$(dd bs=1 count=1 <&5 2>/dev/null)" ]; do :; done
	exec 4< <(exec cat <&5)
	exec 5<&-
}

# Ends every process but this one, PID 1 and those named; what they left in the pipes can then be read to the end.
end_others() {
	local dir pid
	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		[[ " 1 $$ $* " != *" $pid "* ]] || continue
		kill -9 "$pid" 2>/dev/null
	done
}

run_piped() {
	local out err command status
	open_stdin
	mkfifo /run/vmtest/out /run/vmtest/err
	cat </run/vmtest/out >>$share/stdout &
	out=$!
	cat </run/vmtest/err >>$share/stderr &
	err=$!
	env -i - "${environment[@]}" /bin/bash $share/command <&4 4<&- >/run/vmtest/out 2>/run/vmtest/err &
	command=$!
	exec 4<&-
	wait $command
	status=$?
	while kill -0 $out 2>/dev/null || kill -0 $err 2>/dev/null; do
		end_others $out $err
		wait -n $out $err
	done 2>/dev/null
	echo $status >$share/status.new
}

run_on_terminal() {
	local status
	modprobe -q virtio_console
	# Held open: the window size is forgotten with the last close.
	exec 6<>/dev/hvc0 || fail "no port for the terminal"
	# shellcheck disable=SC2046 # rows N cols N are words
	stty sane $(<$share/tty) <&6
	env -i - "${environment[@]}" setsid -cw /bin/bash $share/command <&6 >&6 2>&6 6<&-
	status=$?
	stty -echo -icanon -opost <&6
	echo $status >$share/status.new
}

# Units of the host's own that have nothing to do here, take long, or (tmpfiles) empty /tmp, where the project
# may be.
masked=(systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket
	systemd-udev-trigger.service systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service
	systemd-tmpfiles-clean.timer systemd-timesyncd.service systemd-modules-load.service
	systemd-random-seed.service systemd-remount-fs.service systemd-update-utmp.service
	systemd-sysusers.service systemd-sysctl.service systemd-binfmt.service systemd-pstore.service
	systemd-machine-id-commit.service systemd-hwdb-update.service systemd-firstboot.service
	systemd-boot-system-token.service systemd-pcrphase.service systemd-pcrphase-sysinit.service
	systemd-ask-password-console.path systemd-ask-password-wall.path systemd-journal-flush.service
	systemd-journald-audit.socket proc-sys-fs-binfmt_misc.automount local-fs.target swap.target
	cryptsetup.target integritysetup.target veritysetup.target timers.target paths.target
	modprobe@.service sys-kernel-config.mount sys-fs-fuse-connections.mount dev-hugepages.mount
	kmod-static-nodes.service keyboard-setup.service console-setup.service networking.service
	apparmor.service)

become_systemd() {
	local unit dir=/run/systemd/system
	[ -x /lib/systemd/systemd ] || fail "this machine has no systemd: run tools/deps.sh"
	# Whatever the host is, this is no container.
	rm -f /.dockerenv
	mkdir -p $dir
	for unit in "${masked[@]}"; do ln -s /dev/null "$dir/$unit"; done
	cat >$dir/vmtest.target <<-'EOF'
		[Unit]
		Description=The command of vmtest
		DefaultDependencies=no
		Wants=vmtest.service
	EOF
	cat >$dir/vmtest.service <<-EOF
		[Unit]
		DefaultDependencies=no
		[Service]
		ExecStart=/bin/bash $project/vmtest/guest.sh unit
		StandardOutput=null
		LimitNOFILE=1024:524288
		CPUQuota=10000%
	EOF
	exec /lib/systemd/systemd --system --unit=vmtest.target --show-status=no --log-target=journal \
		</dev/null >/dev/console 2>&1
}

if [ "${1-}" != unit ]; then
	modules >/dev/console 2>&1
	settings 2>/dev/console
	if [ -e $share/systemd ]; then become_systemd; fi
fi
all_processors
umask 022
mapfile -t environment <$share/env
cd "$project" || fail "no folder $project"
if [ -e $share/idle ]; then wait_idle; fi
: >$share/started
if [ -e $share/tty ]; then run_on_terminal; else run_piped; fi
mv $share/status.new $share/status
power_off
