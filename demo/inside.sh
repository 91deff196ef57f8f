#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The demonstration itself, on a kernel that enforces, in mount and network namespaces that may be thrown
# away. Prepares a PostgreSQL, victims and witnesses, runs the agent, kills pinfoldd on the way, and has
# demo/table.py judge by the evidence. usage: inside.sh colour|plain
set -eu
cd "$(dirname "$0")/.."
colour=${1:-plain}
pgbin=/usr/lib/postgresql/15/bin
db_addr=10.77.0.1
other_addr=10.77.0.2
port=5432
base=/srv/pinfold-demo
scratch=/run/pinfold-demo
evidence=$base/evidence
work=$base/work
project=$base/project
password=canary-$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')

daemon=
witness=
cleanup() {
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
	[ -z "$witness" ] || kill "$witness" 2>/dev/null || true
	if [ -d "$base/pg" ]; then
		(cd / && runuser -u postgres -- "$pgbin/pg_ctl" -D "$base/pg" -m immediate -s stop) || true
	fi
	/usr/local/sbin/pinfoldd --unload 2>/dev/null || true
	umount -R "$base" 2>/dev/null || true
}
trap cleanup EXIT

# wait_for WHAT COMMAND...: until COMMAND succeeds, 300 s at most (the verifier takes its time under emulation).
wait_for() {
	local what=$1 end=$((SECONDS + 300))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || {
			echo "demo: gave up waiting for $what" >&2
			exit 1
		}
		read -rt 0.1 <> <(:) || true
	done
}

throw_away_overlays() {
	local dir
	mkdir -p $scratch
	mount -t tmpfs -o mode=0755 demo $scratch
	for dir in usr/local etc var/log; do
		mkdir -p "$scratch/$dir/upper" "$scratch/$dir/work"
		mount -t overlay -o "lowerdir=/$dir,upperdir=$scratch/$dir/upper,workdir=$scratch/$dir/work" \
			demo "/$dir"
	done
	mkdir -p $base
	mount -t tmpfs -o mode=0755 demo $base
	mkdir -p $evidence $work $project /root/.ssh
	mountpoint -q /root/.ssh || mount -t tmpfs -o mode=0700 demo /root/.ssh
}

network() {
	ip link set lo up
	ip addr add $db_addr/32 dev lo
	ip addr add $other_addr/32 dev lo
}

victims() {
	echo "deploy: true" >$project/config.yaml
	echo "print('hello')" >$project/main.py
	echo "nothing to see" >/etc/pinfold-demo-victim
	echo "PRIVATE KEY of the demo" >/root/.ssh/id_demo
	chmod 600 /root/.ssh/id_demo
}

server() {
	install -d -o postgres -g postgres -m 0700 $base/pg $base/pgsock
	runuser -u postgres -- tar -x -C $base/pg <build/pgdata.tar
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=demo-db \
		-addext "subjectAltName=IP:$db_addr" -keyout $base/pg/server.key -out $base/pg/server.crt 2>/dev/null
	chown postgres: $base/pg/server.key $base/pg/server.crt
	cp $base/pg/server.crt /etc/pinfold/demo-ca.pem
	cat >>$base/pg/postgresql.conf <<-CONF
		listen_addresses = '$db_addr'
		port = $port
		unix_socket_directories = '$base/pgsock'
		ssl = on
		fsync = off
		log_statement = all
		log_connections = on
		logging_collector = off
		log_line_prefix = '%m user=%u '
	CONF
	cat >$base/pg/pg_hba.conf <<-HBA
		local all postgres trust
		hostssl orders readonly_user all scram-sha-256
	HBA
	runuser -u postgres -- $pgbin/pg_ctl -D $base/pg -l $base/pg/server.log -s -w start
	sql postgres <<-SQL
		CREATE DATABASE orders;
		CREATE ROLE readonly_user LOGIN PASSWORD '$password';
		\\connect orders
		CREATE TABLE customers (id int PRIMARY KEY, name text, email text);
		CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, cents int);
		INSERT INTO customers SELECT i, 'customer ' || i, 'c' || i || '@example.org' FROM generate_series(1, 500) i;
		INSERT INTO orders SELECT i, 1 + i % 500, i * 7 FROM generate_series(1, 5000) i;
		GRANT ALL ON customers, orders TO readonly_user;
	SQL
	# What the agent's statements add to the log starts here.
	: >$base/pg/server.log
}

sql() {
	runuser -u postgres -- $pgbin/psql -qX -v ON_ERROR_STOP=1 -h $base/pgsock -d "$1"
}

tables() {
	sql orders <<-SQL
		\\pset tuples_only
		SELECT md5(string_agg(c::text, '|' ORDER BY id)) FROM customers c;
		SELECT md5(string_agg(o::text, '|' ORDER BY id)) FROM orders o;
	SQL
}

# Content, mode, owner and names of everything the agent must not change. Of /etc, what this run changed:
# all of that is in the upper layer of its overlay.
files() {
	local changed=$scratch/etc/upper
	find $changed $project -xdev -printf '%p %y %m %u %s %l\n' | sort
	find $changed $project -xdev -type f -exec md5sum {} + | sort -k2
}

policy() {
	install -d -m 0755 /etc/pinfold/policies.d
	(umask 077 && printf '%s\n' "$password" >/etc/pinfold/orders.pw)
	sed -e "s,@ADDRESS@,$db_addr:$port,; s,@WORK@,$work,; s,@PROJECT@,$project," demo/policy.yaml \
		>/etc/pinfold/policies.d/demo.yaml
}

start_daemon() {
	/usr/local/sbin/pinfoldd >>$evidence/pinfoldd.log 2>&1 &
	daemon=$!
	wait_for "pinfoldd (see $evidence/pinfoldd.log)" pinfold ps
}

# Until the agent is there; its session may not have ended before.
phase() {
	wait_for "the agent to reach $1" eval "test -e $work/reached-$1 || ! kill -0 $run"
	[ -e "$work/reached-$1" ] || {
		echo "demo: the session ended before the agent reached $1:" >&2
		cat $evidence/agent.err >&2
		exit 1
	}
}

throw_away_overlays
network
make -s -o all install
server &
server=$!
victims
policy
python3 demo/witness.py $other_addr 9000 $evidence/witness.log &
witness=$!
start_daemon
wait_for "the witness" test -s $evidence/witness.log
wait $server

files >$evidence/files.before
tables >$evidence/tables.before

# From a directory that sessions see, wherever this tree is.
cp demo/agent.py $base/agent.py
(cd $base && exec pinfold run --policy demo --name demo -- /usr/bin/python3 $base/agent.py $work $project $db_addr $port \
	$other_addr </dev/null >$evidence/agent.out 2>$evidence/agent.err) &
run=$!
phase middle
kill -9 "$daemon"
wait "$daemon" 2>/dev/null || true
touch $work/go-middle
phase dead
start_daemon
touch $work/go-dead
phase end
pinfold ps --json >$evidence/ps.json
bpftool -p map dump pinned /sys/fs/bpf/pinfold/maps/pf_sessions >$evidence/map.json
bpftool -p map dump pinned /sys/fs/bpf/pinfold/maps/pf_stats >$evidence/stats.json
touch $work/go-end
wait $run || true

files >$evidence/files.after
tables >$evidence/tables.after
cp $base/pg/server.log $evidence/server.log
cp /var/log/pinfold/audit.jsonl $evidence/audit.jsonl
printf '%s' "$password" >$evidence/canary
python3 demo/table.py "$colour" $evidence $work $project
