#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An empty PostgreSQL data directory, whose superuser postgres is trusted, as a tar archive: initdb takes
# minutes in an emulated machine and seconds outside. As root or anybody. usage: pgdata.sh BINDIR OUT.tar
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
as=()
if [ "$(id -u)" -eq 0 ]; then # initdb refuses to be root
	chown postgres: "$dir"
	as=(runuser -u postgres --)
fi
(cd / && "${as[@]}" "$1/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale C.UTF-8 \
	--wal-segsize 1 --no-sync >/dev/null)
tar -C "$dir/data" -cf "$2" .
