# SPDX-License-Identifier: Apache-2.0
"""The agent of the demonstration: ordinary tools, and no knowledge of Pinfold.

usage: agent.py WORK PROJECT DB_ADDRESS DB_PORT OTHER_ADDRESS

Notes when each attempt began and ended (CLOCK_REALTIME) and what it saw in WORK/steps.jsonl. What really happened is not its
business: demo/table.py finds that out from the kernel's counters, the files and the server.
"""
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

WORK, PROJECT, DB, DB_PORT, OTHER = sys.argv[1:6]
DEADLINE = 120
steps = open(f"{WORK}/steps.jsonl", "a", buffering=1)


def step(name, action):
    """Make one attempt and note it."""
    begin = time.clock_gettime_ns(time.CLOCK_REALTIME)
    try:
        saw = action()
    except OSError as e:
        saw = e.strerror
    end = time.clock_gettime_ns(time.CLOCK_REALTIME)
    steps.write(json.dumps({"step": name, "begin": begin, "end": end, "saw": str(saw)[:400]}) + "\n")


def run(*argv, **env):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE,
                          stdin=subprocess.DEVNULL, env={**os.environ, **env})
    return (done.stdout + done.stderr).strip() or f"exit status {done.returncode}"


def psql(statement):
    return run("psql", "-X", "-At", "-h", "orders", "-U", "agent", "-d", "orders", "-c", statement,
               PGPASSWORD="wrong")


def tcp(address, port, flags=0):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(10)
        if flags:
            s.sendto(b"leak", flags, (address, port))
        else:
            s.connect((address, port))
            s.sendall(b"leak")
    return "connected"


def udp(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"leak", (address, port))
    return "sent"


def truncate(path):
    os.truncate(path, 0)
    return "truncated"


def write(path, text):
    pathlib.Path(path).write_text(text)
    return "written"


def loot():
    """Keep every byte of environment, arguments and memory that can be read here."""
    taken = 0
    with open(f"{WORK}/loot", "wb") as out:
        for pid in [p for p in os.listdir("/proc") if p.isdigit()] + ["self"]:
            for name in ("environ", "cmdline"):
                try:
                    taken += out.write(pathlib.Path(f"/proc/{pid}/{name}").read_bytes())
                except OSError:
                    pass
            taken += memory(pid, out)
    return f"{taken} bytes"


def memory(pid, out):
    """Copy the writable memory of a process, as far as it lets us."""
    taken = 0
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for line in maps:
                span, mode = line.split()[:2]
                low, high = (int(x, 16) for x in span.split("-"))
                if mode[:2] != "rw" or high - low > 1 << 24:
                    continue
                mem.seek(low)
                taken += out.write(mem.read(high - low))
    except OSError:
        pass
    return taken


def wait_for(name):
    pathlib.Path(f"{WORK}/reached-{name}").touch()
    end = time.monotonic() + DEADLINE
    while not os.path.exists(f"{WORK}/go-{name}"):
        if time.monotonic() > end:
            sys.exit(f"agent: nobody said go-{name}")
        time.sleep(0.05)


def files(tag):
    for where, victim in (("/etc", "/etc/pinfold-demo-victim"), ("project", f"{PROJECT}/config.yaml")):
        folder = os.path.dirname(victim)
        step(f"{tag}write {where}", lambda: write(f"{folder}/planted", "x"))
        step(f"{tag}rename {where}", lambda: run("mv", "-f", victim, victim + ".gone"))
        step(f"{tag}truncate {where}", lambda: truncate(victim))
        step(f"{tag}chmod {where}", lambda: run("chmod", "0777", victim))


def network(tag):
    step(f"{tag}tcp to the server's port", lambda: tcp(DB, int(DB_PORT)))
    step(f"{tag}tcp to another host", lambda: tcp(OTHER, 9000))
    step(f"{tag}udp to another host", lambda: udp(OTHER, 9000))
    step(f"{tag}fastopen to another host", lambda: tcp(OTHER, 9000, socket.MSG_FASTOPEN))


def writes(tag):
    step(f"{tag}INSERT", lambda: psql("INSERT INTO customers VALUES (0, 'agent', 'was@here')"))
    step(f"{tag}writing CTE",
         lambda: psql("WITH gone AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM gone"))
    step(f"{tag}set_config", lambda: psql("SELECT set_config('transaction_read_only', 'off', false)"))
    step(f"{tag}COPY TO PROGRAM", lambda: psql("COPY customers TO PROGRAM 'cat > /tmp/leak'"))


def main():
    step("read rows, wrong password", lambda: psql("SELECT count(*) FROM customers"))
    writes("")
    network("")
    files("")
    step("read /root/.ssh", lambda: pathlib.Path("/root/.ssh/id_demo").read_text())
    step("look for the password", loot)
    step("write where it may", lambda: write(f"{WORK}/result.txt", "the agent's own work\n"))
    wait_for("middle")
    files("dead: ")
    network("dead: ")
    step("dead: read rows", lambda: psql("SELECT count(*) FROM orders"))
    step("dead: INSERT", lambda: psql("INSERT INTO customers VALUES (-1, 'agent', 'was@here')"))
    wait_for("dead")
    step("again: read rows", lambda: psql("SELECT max(cents) FROM orders"))
    step("again: write /etc", lambda: write("/etc/planted-again", "x"))
    wait_for("end")


main()
