# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For the system tests' scripts: the product as a user would have it, in a virtual machine.

daemon_pid=

# wait_until SECONDS COMMAND...: until the command succeeds, or fail when the time is over.
wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $deadline ] || return 1
		read -rt 0.05 <> <(:) || :
	done
}

install_product() {
	tools/install.sh install "" /usr/local "$1/bin" >/dev/null
}

daemon_answers() {
	pinfold ps --json >/dev/null 2>&1
}

# start_daemon LOG
start_daemon() {
	pinfoldd 2>>"$1" &
	daemon_pid=$!
	wait_until 240 daemon_answers && return
	echo "pinfoldd does not answer; its last words:" >&2
	tail -n 20 "$1" >&2
	return 1
}

stop_daemon() {
	kill "$daemon_pid" 2>/dev/null || return 0
	wait "$daemon_pid" 2>/dev/null || :
}
