# SPDX-License-Identifier: Apache-2.0
"""pgbench -S straight, through a dumb relay, through pgbouncer and through pinfold-gate, in turn, in one run.

usage: gate_bench.py [SECONDS [ROUNDS]]

Figures of one machine at one time: only the ratios mean anything elsewhere. The gate is the shipped binary with its
classifier, cache and audit on; what pinfoldd would do the test harness does.
"""
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "selftests" / "wire"))
import harness  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
MODES = ("simple", "extended", "prepared")
CLIENTS = (1, 16)
PASSWORD = "scram-secret-7Q"
BIN = ROOT / "build" / "gcc"


def pgbouncer(folder, pg_port):
    port = harness.free_port()
    ini = pathlib.Path(folder) / "pgbouncer.ini"
    (pathlib.Path(folder) / "users").write_text(f'"reader" "{PASSWORD}"\n')
    ini.write_text(f"""[databases]
shop = host=127.0.0.1 port={pg_port} dbname=shop
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = trust
auth_file = {folder}/users
pool_mode = session
max_client_conn = 200
default_pool_size = 64
unix_socket_dir =
logfile = {folder}/pgbouncer.log
""")
    for path in (folder, ini, pathlib.Path(folder) / "users"):
        os.chmod(path, 0o755)
    os.chmod(folder, 0o777)
    process = subprocess.Popen(["runuser", "-u", "postgres", "--", "pgbouncer", "-q", str(ini)])
    return process, port


def pgbench(port, mode, clients):
    out = harness.run(["pgbench", "-S", "-n", "-M", mode, "-c", str(clients), "-j", "1", "-T", str(SECONDS),
                       "-h", "127.0.0.1", "-p", str(port), "-U", "reader", "shop"],
                      env={**os.environ, "PGPASSWORD": PASSWORD, "PGSSLMODE": "disable"})
    return float(re.search(r"tps = ([\d.]+)", out).group(1))


def compare(ports, mode, clients):
    """Each in turn, ROUNDS times: medians of tps."""
    tps = {name: [] for name in ports}
    for _ in range(ROUNDS):
        for name, port in ports.items():
            tps[name].append(pgbench(port, mode, clients))
    return {name: statistics.median(values) for name, values in tps.items()}


def main():
    pg = harness.Postgres(["log_statement = 'none'", "max_connections = 200"])
    folder = tempfile.mkdtemp(prefix="pinfold-bench-")
    processes = []
    try:
        harness.run(["pgbench", "-i", "-q", "-s", "5", "-h", pg.dir, "-p", str(pg.port), "-U", "postgres", "shop"])
        pg.psql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        relay_port = harness.free_port()
        processes.append(subprocess.Popen([BIN / "test" / "relay", str(relay_port), str(pg.port)]))
        bouncer, bouncer_port = pgbouncer(folder, pg.port)
        processes.append(bouncer)
        gate = harness.Gate(str(BIN / "bin" / "pinfold-gate"), pg.port)
        ports = {"direct": pg.port, "relay": relay_port, "pgbouncer": bouncer_port, "gate": gate.port}
        for port in ports.values():
            harness.wait_for("a server", lambda p=port: subprocess.run(
                ["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(p)]).returncode == 0)
        print("mode\tclients\twho\ttps\tof direct\tus a transaction")
        for mode in MODES:
            for clients in CLIENTS:
                medians = compare(ports, mode, clients)
                for name, tps in medians.items():
                    print(f"{mode}\t{clients}\t{name}\t{tps:.0f}\t{tps / medians['direct']:.3f}\t"
                          f"{clients * 1e6 / tps:.0f}", flush=True)
        gate.stop()
    finally:
        for process in processes:
            process.terminate()
        pg.stop()


main()
