#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command as root on a Debian kernel of the test matrix: qemu boots it on this machine's own root
# folder, read-only under a throw-away layer, with bpffs, cgroup v2 and a loopback up. Output, exit status
# and standard input pass through; a kernel warning fails the run. See usage() below.
set -euo pipefail
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

usage() {
	cat <<-'EOF'
		usage: vmtest/vmtest.sh [-k KERNEL] [-c CPUS] [-m MEMORY] [-t SECONDS] [-o DIR] [-i] [-s] [-- COMMAND...]

		Boots a kernel and runs COMMAND in the project's folder (default: selftests/sys/run.sh).

		  -k KERNEL   6.1 (default), 6.1-preempt, 6.12, 7, or all of them one after another
		  -c CPUS     virtual processors (default 2)
		  -m MEMORY   as qemu takes it (default 2G)
		  -t SECONDS  the run is ended after this time (default 1200)
		  -o DIR      the folder for results (default build/vm/out/KERNEL)
		  -i          count instructions: one processor, and COMMAND starts when the machine is idle;
		              a nanosecond in the guest is one instruction
		  -s          systemd is PID 1, and COMMAND a service of it

		COMMAND finds the folder for results in VMTEST_OUT; it outlives the machine. The
		kernel's messages are in build/vm/KERNEL/console.log. VMTEST_ACCEL=kvm or tcg decides how qemu
		runs; otherwise KVM is used where it works.

		Exit status: COMMAND's own; 124 when the time was over; 125 when the machine did not come up or
		ended early, or when COMMAND succeeded and the kernel gave a warning.
	EOF
}

die() {
	printf 'vmtest: %s\n' "$*" >&2
	exit 125
}

usage_error() {
	printf 'vmtest: %s (vmtest/vmtest.sh -h for help)\n' "$*" >&2
	exit 2
}

key=6.1 cpus=2 memory=2G deadline=1200 results='' icount='' systemd=''
while getopts :k:c:m:t:o:ish option; do
	case $option in
	k) key=$OPTARG ;;
	c) cpus=$OPTARG ;;
	m) memory=$OPTARG ;;
	t) deadline=$OPTARG ;;
	o) results=$OPTARG ;;
	i) icount=yes ;;
	s) systemd=yes ;;
	h) usage && exit 0 ;;
	:) usage_error "-$OPTARG needs a value" ;;
	*) usage_error "unknown option -$OPTARG" ;;
	esac
done
shift $((OPTIND - 1))
[[ $cpus =~ ^[1-9][0-9]*$ ]] || usage_error "-c needs a number"
[[ $deadline =~ ^[1-9][0-9]*$ ]] || usage_error "-t needs a number of seconds"
[[ $memory =~ ^[1-9][0-9]*[MG]?$ ]] || usage_error "-m needs a size such as 2G"
if [ $# -eq 0 ]; then set -- selftests/sys/run.sh; fi
if [ -n "$icount" ]; then cpus=1; fi

self=$(realpath "${BASH_SOURCE[0]}")
project=${self%/vmtest/vmtest.sh}
[ -z "$results" ] || results=$(realpath -m "$results")
cd "$project"

if [ "$key" = all ]; then
	worst=0 summary=
	for key in 6.1 6.1-preempt 6.12 7; do
		printf 'vmtest: kernel %s\n' "$key" >&2
		status=0
		"$self" -k "$key" -c "$cpus" -m "$memory" -t "$deadline" ${results:+-o "$results/$key"} \
			${icount:+-i} ${systemd:+-s} \
			-- "$@" </dev/null || status=$?
		summary+=$(printf 'vmtest: %-12s exit status %d' "$key" $status)$'\n'
		[ $status -eq 0 ] || worst=$status
	done
	printf '%s' "$summary" >&2
	exit "$worst"
fi

kernel_key=$key kernel_options=
case $key in
6.1 | 6.12 | 7) ;;
6.1-preempt) kernel_key=6.1 kernel_options=preempt=full ;;
*) usage_error "unknown kernel '$key'; known: 6.1 6.1-preempt 6.12 7 all" ;;
esac

[ "$(id -u)" -eq 0 ] || die "must run as root: the machine gets this host's root folder"
virtiofsd=/usr/lib/qemu/virtiofsd
for tool in qemu-system-x86_64 $virtiofsd busybox cpio modprobe xz nc setpriv unshare findmnt; do
	command -v "$tool" >/dev/null || die "'$tool' is missing: run tools/deps.sh"
done
kernel=$(vmtest/kernel.sh "$kernel_key")
release=$(<"$kernel/release")

# --- The machine's life: everything started here ends with this script, however it ends.

run=$(mktemp -d "${TMPDIR:-/tmp}/vmtest.XXXXXX")
declare -A child=()
terminal=
result_dir=$project/build/vm/$key
results=${results:-$project/build/vm/out/$key}
mkdir -p "$result_dir" "$results"

# shellcheck disable=SC2317 # called by the trap
clean_up() {
	trap '' INT TERM HUP
	# The shell would report each child that it kills here.
	exec 2>/dev/null
	local name
	for name in "${!child[@]}"; do
		kill -9 "${child[$name]}" 2>/dev/null || true
	done
	wait 2>/dev/null || true
	[ -z "$terminal" ] || stty "$terminal"
	if [ -e "$run/console" ]; then
		sed -i 's/\r$//' "$run/console"
		mv "$run/console" "$result_dir/console.log"
	fi
	rm -rf "$run"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# pdeathsig: a killed script takes them along as well.
start() {
	local name=$1
	shift
	# A background command has /dev/null as its input unless told otherwise.
	setpriv --pdeathsig KILL "$@" <&0 &
	child[$name]=$!
}

# --- The initramfs: a shell, the modules that reach the root folder, and vmtest/init.sh.

make_initramfs() {
	local dir=$run/initramfs line path n=10
	mkdir -p "$dir"/{bin,dev,proc,modules,lower,layer,root}
	cp "$(command -v busybox)" "$dir/bin/busybox"
	cp vmtest/init.sh "$dir/init"
	chmod +x "$dir/init"
	while read -r line path _; do
		[ "$line" = insmod ] || continue
		path=$(realpath "$path")
		! grep -qxF "$path" "$run/modules" 2>/dev/null || continue
		echo "$path" >>"$run/modules"
		n=$((n + 1))
		case $path in
		*.xz) xz -dc "$path" >"$dir/modules/$n-$(basename "$path" .xz)" ;;
		*) cp "$path" "$dir/modules/$n-$(basename "$path")" ;;
		esac
	done < <(modprobe -d "$kernel" -S "$release" -a --show-depends virtio_pci virtiofs overlay)
	(cd "$dir" && find . | cpio -o -H newc --quiet) >"$run/initrd"
}

# --- The host's root: all its real file systems, read-only whatever the guest asks for.

share_root() {
	mkdir "$run/root"
	# shellcheck disable=SC2016 # expanded by the inner shell
	start root unshare -m --propagation private sh -ec '
		run=$1
		shift
		for target; do
			mount --bind "$target" "$run/root$target" 2>/dev/null || continue
			mount -o remount,bind,ro "$run/root$target"
		done
		mkdir -p /run/virtiofsd
		mount -t tmpfs lock /run/virtiofsd
		exec '"$virtiofsd"' -f -o source="$run/root" -o sandbox=chroot -o cache=always -o xattr \
			-o log_level=err --socket-path="$run/root.sock" --thread-pool-size=4
	' share_root "$run" / "${submounts[@]}" </dev/null >"$run/root.log" 2>&1
}

share_exchange() {
	mkdir "$run/share/out"
	# shellcheck disable=SC2016 # expanded by the inner shell
	start share unshare -m --propagation private sh -ec '
		mount --bind "$2" "$1/share/out"
		mkdir -p /run/virtiofsd
		mount -t tmpfs lock /run/virtiofsd
		exec '"$virtiofsd"' -f -o source="$1/share" -o sandbox=chroot -o cache=none -o xattr \
			-o log_level=err --socket-path="$1/share.sock"
	' share_exchange "$run" "$results" </dev/null >"$run/share.log" 2>&1
}

# --- What the guest is told.

fill_exchange() {
	mkdir "$run/share"
	echo "$project" >"$run/share/project"
	echo "$kernel/lib/modules/$release" >"$run/share/modules"
	printf '%s\n' PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		USER=root LOGNAME=root SHELL=/bin/bash LANG=C.UTF-8 "TERM=${TERM:-dumb}" \
		"VMTEST_KERNEL=$key" VMTEST_OUT=/run/vmtest/share/out >"$run/share/env"
	{
		printf 'exec --'
		printf ' %q' "$@"
		echo
	} >"$run/share/command"
	: >"$run/share/stdout"
	: >"$run/share/stderr"
	[ -z "$icount" ] || : >"$run/share/idle"
	[ -z "$systemd" ] || : >"$run/share/systemd"
}

# --- KVM: having the device is not enough, on some hosts its guests hang. A kernel without a root folder
# panics within a second or two; the answer holds until the host boots again.

kvm_works() {
	local cache=$project/build/vm/kvm boot answer
	boot=$(</proc/sys/kernel/random/boot_id)
	if [ -f "$cache" ] && read -r answer boot_then <"$cache" && [ "$boot_then" = "$boot" ]; then
		[ "$answer" = yes ]
		return
	fi
	answer=no
	if [ -w /dev/kvm ]; then
		timeout -k 1 10 qemu-system-x86_64 -M pc,accel=kvm -cpu host -m 256M -nodefaults -display none \
			-no-reboot -kernel "$kernel/vmlinuz" -append 'panic=-1 console=ttyS0' \
			-serial "file:$run/kvm" </dev/null >/dev/null 2>&1 || true
		if grep -q 'Kernel panic' "$run/kvm" 2>/dev/null; then answer=yes; fi
	fi
	echo "$answer $boot" >"$cache"
	[ $answer = yes ]
}

choose_accelerator() {
	local want=${VMTEST_ACCEL:-}
	if [ -n "$icount" ]; then want=tcg; fi
	case $want in
	tcg) accel=tcg ;;
	kvm) accel=kvm && { kvm_works || die "KVM does not work here: /dev/kvm is missing or its guests hang"; } ;;
	'') if kvm_works; then accel=kvm; else accel=tcg; fi ;;
	*) die "VMTEST_ACCEL is kvm or tcg, not '$want'" ;;
	esac
	cpu=max
	if [ $accel = kvm ]; then
		cpu=host
	elif [ "$kernel_key" = 6.12 ]; then
		# qemu 7.2 has CMPXCHG16B wrong for how 6.12 uses it: the kernel oopses in its allocator.
		cpu=max,cx16=off
	fi
}

boot() {
	# shellcheck disable=SC2054 # commas are qemu's
	local qemu=(qemu-system-x86_64 -M pc -cpu "$cpu" -smp "$cpus" -m "$memory"
		-object "memory-backend-memfd,id=mem,size=$memory,share=on" -machine memory-backend=mem
		-nodefaults -no-user-config -display none -no-reboot
		-kernel "$kernel/vmlinuz" -initrd "$run/initrd"
		-serial "file:$run/console"
		-chardev "socket,id=root,path=$run/root.sock"
		-device vhost-user-fs-pci,queue-size=1024,chardev=root,tag=root
		-chardev "socket,id=share,path=$run/share.sock"
		-device vhost-user-fs-pci,queue-size=1024,chardev=share,tag=share)
	# Stall detectors measure the host's load as well; they get four times the usual patience.
	local append="console=ttyS0 loglevel=6 panic=-1 oops=panic random.trust_cpu=on tsc=nowatchdog"
	append+=" watchdog_thresh=40 rcupdate.rcu_cpu_stall_timeout=84 printk.devkmsg=on"
	# On a loaded host the emulated timer may tick too late for the kernel's test of it, which then panics.
	append+=" no_timer_check maxcpus=1 $kernel_options" # guest.sh starts the other processors
	if [ -n "$icount" ]; then qemu+=(-icount shift=0); else qemu+=(-accel "$accel"); fi
	if [ -n "$port" ]; then
		# shellcheck disable=SC2054
		qemu+=(-device virtio-serial-pci -chardev "socket,id=io,path=$run/io.sock,server=on,wait=off"
			-device "$port,chardev=io")
	fi
	start qemu "${qemu[@]}" -append "$append" </dev/null 2>"$run/qemu.log"
}

# A terminal becomes the guest's, in both directions; other input goes in until it ends, behind one byte that
# tells the guest that it has begun.
connect_input() {
	[ -n "$port" ] || return 0
	wait_for "$run/io.sock"
	if [ $port = virtconsole ]; then
		terminal=$(stty -g)
		stty raw -echo
		start terminal nc -U "$run/io.sock" 2>/dev/null
	else
		# shellcheck disable=SC2016 # expanded by the inner shell
		start stdin sh -c '{ printf .; exec cat <&4; } | exec nc -N -U "$1/io.sock"' stdin "$run" \
			4<&0 >/dev/null 2>&1
	fi
}

wait_for() {
	local tries=0
	until [ -S "$1" ]; do
		[ $((tries += 1)) -le 200 ] || die "no $1 after ten seconds: $(cat "$run"/*.log)"
		sleep 0.05
	done
}

# The kernel's own complaints. A user's process that faults or is killed for want of memory is none.
splat='(\[ cut here \]|WARNING: |\bBUG: |\bOops\b|Kernel panic|general protection fault[,:]'
splat+='|rcu: INFO: |detected stall|kthread starved|INFO: task .* blocked for|circular locking|recursive locking'
splat+='|inconsistent lock state|suspicious RCU usage|UBSAN: |KASAN: |KCSAN: |refcount_t: )'

check_console() {
	local line
	line=$(grep -nEm1 "$splat" "$run/console" | cut -d: -f1) || return 0
	echo "vmtest: kernel $key ($release) complained, all of it is in build/vm/$key/console.log:" >&2
	sed -n "${line},$((line + 40))p" "$run/console" | tr -d '\r' >&2
	return 1
}

# --- The run.

mapfile -t submounts < <(findmnt -rn --real -o TARGET | grep -vE '^/$|^/(proc|sys|dev|run)(/|$)')
fill_exchange "$@"
port=
if [ -t 0 ] && [ -t 1 ] && [ -t 2 ]; then
	port=virtconsole
	stty size | sed 's/\(.*\) \(.*\)/rows \1 cols \2/' >"$run/share/tty"
elif [ -e /proc/self/fd/0 ] && ! [ /proc/self/fd/0 -ef /dev/null ]; then
	port=virtserialport,name=stdin
	: >"$run/share/stdin"
fi
share_root
share_exchange
make_initramfs
choose_accelerator
wait_for "$run/root.sock"
wait_for "$run/share.sock"
boot
connect_input
# tail ends by itself, with everything copied, once the machine has.
tail -c +1 -s 0.1 -f --pid="${child[qemu]}" "$run/share/stdout" 2>/dev/null &
out=$!
tail -c +1 -s 0.1 -f --pid="${child[qemu]}" "$run/share/stderr" >&2 2>/dev/null &
err=$!
sleep "$deadline" &
child[deadline]=$!
ended=
wait -n -p ended "${child[qemu]}" "${child[deadline]}" || true
if [ "$ended" = "${child[deadline]}" ]; then
	kill -9 "${child[qemu]}"
	wait "${child[qemu]}" 2>/dev/null || true
	wait $out $err || true
	check_console || true
	printf 'vmtest: ended after %s seconds (-t)\n' "$deadline" >&2
	exit 124
fi
unset 'child[qemu]'
wait $out $err || true
# nc ends when it has shown everything, unless the terminal no longer takes any.
for ((tries = 0; tries < 40; tries++)); do
	if [ -z "$terminal" ] || ! kill -0 "${child[terminal]}" 2>/dev/null; then break; fi
	sleep 0.05
done
clean=0
check_console || clean=1
if [ ! -e "$run/share/status" ]; then
	[ $clean -ne 0 ] || tail -qn 15 "$run/console" "$run"/*.log >&2
	die "the machine ended before the command did$(sed 's/^/: /' "$run/share/failed" 2>/dev/null)"
fi
status=$(<"$run/share/status")
if [ "$status" -eq 0 ] && [ $clean -ne 0 ]; then status=125; fi
exit "$status"
