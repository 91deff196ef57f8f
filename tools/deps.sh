#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tools/deps.sh: installs what building, testing and demonstrating Pinfold needs, from the archive that
# this Debian 12 is configured with. Says what it installs; asks nothing; does nothing when all is there.
set -euo pipefail

die() {
	printf 'deps: %s\n' "$*" >&2
	exit 1
}

packages=(
	# compilers and the make graph
	gcc gcc-multilib libc6-dev make git pkg-config python3 clang-14 clang llvm lld clang-format-14
	libclang-rt-14-dev shellcheck mandoc
	# libraries
	libbpf-dev bpftool libelf-dev zlib1g-dev libseccomp-dev libcap-dev libssl-dev libyaml-dev
	libjansson-dev libuv1-dev libcmocka-dev liburing-dev libpg-query-dev postgresql-server-dev-15
	# the virtual machine and the fresh root
	qemu-system-x86 qemu-system-common busybox-static cpio lz4 xz-utils zstd kmod netcat-openbsd mmdebstrap
	debian-archive-keyring
	# servers and clients that the tests and the demonstration run
	postgresql-15 postgresql-client-15 pgbouncer python3-psycopg2 default-jre-headless
	libpostgresql-jdbc-java bubblewrap openssl ca-certificates
	# tools that the tests use
	acl attr e2fsprogs iproute2 procps psmisc strace util-linux bsdutils libcap2-bin
	systemd logrotate
)

missing=()
have=$(dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' | sed -n 's/^installed \([^:]*\).*/\1/p')
for package in "${packages[@]}"; do
	grep -qxF "$package" <<<"$have" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
	exit 0
fi

[ "$(id -u)" -eq 0 ] || die "these packages are missing, run tools/deps.sh as root: ${missing[*]}"
command -v apt-get >/dev/null || die "no apt-get: Pinfold is built on Debian 12"

exec 9>/var/lock/pinfold-deps
if command -v flock >/dev/null; then flock 9; fi

# Without it the server package makes and starts a cluster of its own that nobody here asked for.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
	mkdir -p /etc/postgresql-common
	echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
fi
# Nor shall packages start services, when nothing has said so before.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
	trap 'rm -f "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
options=(-q -y -o Dpkg::Options::=--force-confold -o Acquire::Retries=3 -o Dpkg::Use-Pty=0
	-o DPkg::Lock::Timeout=300)
echo "deps: installing ${missing[*]}"
log=$(mktemp)
run() {
	"$@" >"$log" 2>&1 || {
		tail -n 40 "$log" >&2
		die "failed: $*"
	}
}
run apt-get "${options[@]}" update
run apt-get "${options[@]}" --no-install-recommends install "${missing[@]}"
rm -f "$log"
echo "deps: installed ${#missing[@]} packages and what they need"
