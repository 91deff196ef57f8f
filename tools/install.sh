#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs or removes Pinfold. usage: install.sh install|uninstall DESTDIR PREFIX BIN_DIR
# With an empty DESTDIR it also makes (never removes) the group pinfold and the user pinfold-gate.
# uninstall refuses while pinfoldd or a session runs. It leaves /etc/pinfold and /var/log/pinfold: they are the
# operator's.
set -eu
verb=$1 dest=$2 prefix=$3 bin=$4
cd "$(dirname "$0")/.."

man1=$dest$prefix/share/man/man1
man5=$dest$prefix/share/man/man5
man8=$dest$prefix/share/man/man8
completion=$dest$prefix/share/bash-completion/completions
units=$dest/usr/lib/systemd/system
sysusers=$dest/usr/lib/sysusers.d
tmpfiles=$dest/usr/lib/tmpfiles.d
policies=$dest/etc/pinfold/policies.d

accounts() {
	getent group pinfold >/dev/null || groupadd --system pinfold
	getent passwd pinfold-gate >/dev/null ||
		useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin \
			--comment "Pinfold gateway" pinfold-gate
}

do_install() {
	install -d "$dest$prefix"/{bin,sbin,libexec/pinfold} "$man1" "$man5" "$man8" "$completion" "$units"
	install -m 0755 "$bin/pinfold" "$dest$prefix/bin/"
	install -m 0755 "$bin/pinfoldd" "$dest$prefix/sbin/"
	install -m 0755 "$bin"/pinfold-{init,gate,probe,classify} "$dest$prefix/libexec/pinfold/"
	install -m 0644 docs/man/*.1 "$man1"
	install -m 0644 docs/man/*.5 "$man5"
	install -m 0644 docs/man/*.8 "$man8"
	install -m 0644 user/cli/pinfold.bash "$completion/pinfold"
	sed "s,@PREFIX@,$prefix,g" dist/pinfoldd.service >"$units/pinfoldd.service"
	install -m 0644 dist/pinfold.slice "$units/"
	install -D -m 0644 dist/sysusers.conf "$sysusers/pinfold.conf"
	install -D -m 0644 dist/tmpfiles.conf "$tmpfiles/pinfold.conf"
	install -D -m 0644 dist/logrotate "$dest/etc/logrotate.d/pinfold"
	install -d -m 0755 "$dest/etc/pinfold" "$policies"
	install -d -m 0700 "$dest/var/log/pinfold"
	for policy in examples/policies/*.yaml; do
		# An operator's own version is never overwritten.
		[ -e "$policies/$(basename "$policy")" ] || install -m 0644 "$policy" "$policies/"
	done
	[ -n "$dest" ] || accounts
}

do_uninstall() {
	if [ -z "$dest" ]; then
		# Refuses while a daemon or a session lives; takes the programs out of the kernel otherwise.
		[ ! -x "$prefix/sbin/pinfoldd" ] || [ ! -d /sys/fs/bpf/pinfold ] || "$prefix/sbin/pinfoldd" --unload
		rm -rf /run/pinfold
		[ ! -d /run/systemd/system ] || systemctl stop pinfold.slice
	fi
	rm -f "$dest$prefix/bin/pinfold" "$dest$prefix/sbin/pinfoldd" "$completion/pinfold" \
		"$units/pinfoldd.service" "$units/pinfold.slice" "$dest/etc/logrotate.d/pinfold" \
		"$sysusers/pinfold.conf" "$tmpfiles/pinfold.conf" \
		"$man1"/pinfold*.1 "$man5"/pinfold*.5 "$man8"/pinfold*.8
	rm -rf "$dest$prefix/libexec/pinfold"
	[ -n "$dest" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
}

case "$verb" in
install) do_install ;;
uninstall) do_uninstall ;;
*)
	echo "usage: install.sh install|uninstall DESTDIR PREFIX BIN_DIR" >&2
	exit 2
	;;
esac
