#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What Pinfold adds to a system call, beside an empty program and Landlock, and `pinfold run -- true` beside
# bubblewrap, in one boot. Run it as: vmtest/vmtest.sh -k 6.1 -i -- selftests/bench/hooks.sh
# There a nanosecond is one instruction. Prints TSV: what, who, instructions.
set -eu
cd "$(dirname "$0")/../.."
bin=build/gcc/test
tree=/srv/bench/a/b/c/d/e/f
deep=/srv/bench$(printf '/%s' {1..29})
opens=2000 connects=300 execs=50 runs=10

mkdir -p $tree "$deep"
echo x >$tree/file
echo x >"$deep/file"
echo x >/srv/bench-victim

cost() { "$bin/syscost" "$@"; }
row() {
	[ -n "$3" ] || {
		echo "hooks: no figure for $1, $2" >&2
		exit 1
	}
	printf '%s\t%s\t%s\n' "$1" "$2" "$3"
}

# Median of the time of $runs calls of a command, from /proc/uptime-free monotonic clock in bash.
timed() {
	local i start all=()
	for ((i = 0; i < runs; i++)); do
		start=${EPOCHREALTIME/./}
		(cd / && "$@" >/dev/null) || return
		all+=($((${EPOCHREALTIME/./} - start)))
	done
	printf '%s\n' "${all[@]}" | sort -n | sed -n "$((runs / 2 + 1))p"
}

python3 -c '
import socket
s = socket.create_server(("127.0.0.1", 9001), backlog=4096)
print("up", flush=True)
while True: s.accept()[0].close()' >/run/bench-listener &
listener=$!
trap 'kill $listener 2>/dev/null || true' EXIT
until grep -qs up /run/bench-listener; do read -rt 0.05 <> <(:) || true; done

measure() {
	row open-read "$1" "$(cost open-read $opens $tree/file)"
	row open-write "$1" "$(cost open-write $opens $tree/file)"
	row connect "$1" "$(cost connect $connects 127.0.0.1 9001)"
	row fork-exec "$1" "$(cost exec $execs /bin/true)"
}

measure "nothing attached"
row open-write-deep "nothing attached" "$(cost open-write $opens "$deep/file")"
"$bin/emptylsm" "$bin/syscost" open-read $opens $tree/file | sed 's/^/open-read\tempty program\t/'
"$bin/emptylsm" "$bin/syscost" open-write $opens $tree/file | sed 's/^/open-write\tempty program\t/'
"$bin/emptylsm" "$bin/syscost" connect $connects 127.0.0.1 9001 | sed 's/^/connect\tempty program\t/'
"$bin/emptylsm" "$bin/syscost" exec $execs /bin/true | sed 's/^/fork-exec\tempty program\t/'
row open-read Landlock "$(cost --landlock /srv/bench open-read $opens $tree/file)"
row open-write Landlock "$(cost --landlock /srv/bench open-write $opens $tree/file)"
row open-write-deep Landlock "$(cost --landlock /srv/bench open-write $opens "$deep/file")"
row "run true (us)" bubblewrap "$(timed bwrap --unshare-user-try --unshare-pid --unshare-ipc --unshare-uts \
	--unshare-net --unshare-cgroup-try --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp true)"

make -s -o all install
cat >/etc/pinfold/policies.d/bench.yaml <<-'YAML'
	pinfold: 1
	name: bench
	databases:
	  - name: bench
	    type: postgres
	    address: 10.77.0.9:5432
	    database: bench
	    user: nobody
	    tls: "off"
	files:
	  read: [ / ]
	  write: [ /srv/bench ]
YAML
/usr/local/sbin/pinfoldd >/run/bench-pinfoldd.log 2>&1 &
daemon=$!
trap 'kill $listener $daemon 2>/dev/null || true' EXIT
end=$((SECONDS + 300))
until pinfold ps >/dev/null 2>&1; do
	[ $SECONDS -lt $end ] || {
		cat /run/bench-pinfoldd.log >&2
		exit 1
	}
	read -rt 0.2 <> <(:) || true
done
measure "Pinfold, outside a session"
# A checkout may lie where a session sees nothing (/tmp): a copy does not.
cp "$bin/syscost" /srv/bench-syscost
inside() { (cd / && pinfold run --policy bench -- /srv/bench-syscost "$@"); }
row open-read "Pinfold, in a session" "$(inside open-read $opens $tree/file)"
row open-write "Pinfold, in a session" "$(inside open-write $opens $tree/file)"
row open-denied "Pinfold, in a session" "$(inside open-denied $opens /srv/bench-victim)"
row connect "Pinfold, in a session, steered to the gate" "$(inside connect $connects 198.18.0.1 5432)"
row fork-exec "Pinfold, in a session" "$(inside exec $execs /bin/true)"

# The hooks alone: the label of a session on a process with the host's mounts and no system call filter.
(cd / && exec pinfold run --policy bench --name holder -- sh -c 'echo ready; exec sleep infinity') >/run/bench-holder &
until grep -qs ready /run/bench-holder; do read -rt 0.05 <> <(:) || true; done
session=$(dirname /sys/fs/cgroup/pinfold.slice/*/agent)
labelled() { "$bin/labelled" "$session" "$bin/syscost" "$@"; }
row open-read "Pinfold's hooks, in a session" "$(labelled open-read $opens $tree/file)"
row open-write "Pinfold's hooks, in a session" "$(labelled open-write $opens $tree/file)"
row open-write-deep "Pinfold's hooks, in a session" "$(labelled open-write $opens "$deep/file")"
pinfold kill holder

row "run true (us)" Pinfold "$(timed pinfold run --policy bench -- true)"
