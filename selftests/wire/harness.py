# SPDX-License-Identifier: Apache-2.0
"""A throw-away PostgreSQL and a pinfold-gate in front of it, for tests.

The harness stands where pinfoldd stands: it makes the listener and the socket that is the gate's
descriptor 3, sends the start-up message, and collects the audit objects. Nothing in the gate knows
of tests.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

PGBIN = os.environ.get("PGBIN", "/usr/lib/postgresql/15/bin")
DEADLINE = float(os.environ.get("WIRE_DEADLINE", "30"))

SCHEMA = """
CREATE ROLE reader LOGIN;
SET password_encryption = 'scram-sha-256';
ALTER ROLE reader PASSWORD 'scram-secret-7Q';
CREATE ROLE reader_md5 LOGIN;
SET password_encryption = 'md5';
ALTER ROLE reader_md5 PASSWORD 'md5-secret-8W';
CREATE ROLE reader_clear LOGIN;
ALTER ROLE reader_clear PASSWORD 'clear-secret-9E';
CREATE ROLE owner_super SUPERUSER LOGIN;
SET password_encryption = 'scram-sha-256';
ALTER ROLE owner_super PASSWORD 'super-secret-1R';
"""

TABLES = """
CREATE TABLE orders (id int PRIMARY KEY, customer text, amount numeric(10,2));
INSERT INTO orders SELECT i, 'customer ' || i, i * 1.5 FROM generate_series(1, 100) i;
CREATE SEQUENCE serial_numbers;
CREATE TABLE witness (at timestamptz DEFAULT now(), what text);
CREATE FUNCTION write_something() RETURNS int LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO public.witness (what) VALUES ('function'); RETURN 1; END $$;
CREATE FUNCTION lift_and_write() RETURNS int LANGUAGE plpgsql AS
$$ BEGIN
PERFORM set_config('transaction_read_only', 'off', false);
INSERT INTO public.witness (what) VALUES ('view'); RETURN 1; END $$;
CREATE VIEW lifting AS SELECT lift_and_write() AS a;
CREATE FUNCTION default_off() RETURNS int LANGUAGE plpgsql AS
$$ BEGIN
PERFORM set_config('default_transaction_read_only', 'off', false); RETURN 1; END $$;
CREATE VIEW switching AS SELECT default_off() AS a;
CREATE VIEW making AS SELECT lo_create(0) AS a;
CREATE FUNCTION mint(int) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN PERFORM lo_create(0); RETURN true; END $$;
CREATE DOMAIN minting AS int CHECK (mint(VALUE));
GRANT ALL ON ALL TABLES IN SCHEMA public TO reader, reader_md5, reader_clear;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO reader, reader_md5, reader_clear;
GRANT CREATE ON SCHEMA public TO reader, reader_md5, reader_clear;
"""

HBA = """
local   all reader_nobody      reject
local   all all                peer
hostssl all all 127.0.0.1/32   {clear}
host    all reader_md5   127.0.0.1/32 md5
host    all reader_clear 127.0.0.1/32 password
host    all all          127.0.0.1/32 scram-sha-256
host    replication all  127.0.0.1/32 scram-sha-256
"""


class Failure(Exception):
    pass


def free_port():
    """A TCP port of 127.0.0.1 that nobody has now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, condition, deadline=DEADLINE):
    """Poll a condition; its value when it holds."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"not within {deadline} s: {what}")
        time.sleep(0.01)


def run(argv, **kw):
    r = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE * 4, **kw)
    if r.returncode != 0:
        raise Failure(f"{argv[0]}: {r.stderr.strip()}")
    return r.stdout


def make_ca(directory, name):
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{directory}/{name}.key",
         "-out", f"{directory}/{name}.crt"])


def make_leaf(directory, ca, name, san):
    run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName={san}",
         "-keyout", f"{directory}/{name}.key", "-out", f"{directory}/{name}.csr"])
    run(["openssl", "x509", "-req", "-in", f"{directory}/{name}.csr", "-days", "2",
         "-CA", f"{directory}/{ca}.crt", "-CAkey", f"{directory}/{ca}.key",
         "-CAcreateserial", "-copy_extensions", "copy", "-out", f"{directory}/{name}.crt"])


class Postgres:
    """A server in a directory of its own; TCP on 127.0.0.1, with TLS."""

    def __init__(self, settings=()):
        self.dir = tempfile.mkdtemp(prefix="pinfold-pg-")
        self.data = f"{self.dir}/data"
        self.port = free_port()
        self.process = None
        make_ca(self.dir, "ca")
        make_ca(self.dir, "other-ca")
        make_leaf(self.dir, "ca", "server", "DNS:db.internal")
        self.user = None
        if os.getuid() == 0:
            shutil.chown(self.dir, "postgres", "postgres")
            for f in os.listdir(self.dir):
                shutil.chown(f"{self.dir}/{f}", "postgres", "postgres")
            self.user = "postgres"
        os.chmod(f"{self.dir}/server.key", 0o600)
        self._as_server([f"{PGBIN}/initdb", "-D", self.data, "-U", "postgres", "-A", "trust",
                         "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"])
        with open(f"{self.data}/postgresql.conf", "a", encoding="utf-8") as f:
            f.write(f"""
listen_addresses = '127.0.0.1'
port = {self.port}
unix_socket_directories = '{self.dir}'
ssl = on
ssl_cert_file = '{self.dir}/server.crt'
ssl_key_file = '{self.dir}/server.key'
fsync = off
max_connections = 64
max_prepared_transactions = 4
log_statement = 'all'
""" + "\n".join(settings) + "\n")
        with open(f"{self.data}/pg_hba.conf", "w", encoding="utf-8") as f:
            f.write("local all all trust\n" + HBA.format(clear="scram-sha-256").replace(
                "hostssl all all 127.0.0.1/32   scram-sha-256\n",
                "hostssl all reader_clear 127.0.0.1/32 password\n"
                "hostssl all reader_md5 127.0.0.1/32 md5\n"))
        self.start()
        self.psql(SCHEMA, db="postgres")
        self.psql("CREATE DATABASE shop", db="postgres")
        self.psql(TABLES)

    def _as_server(self, argv):
        if self.user:
            argv = ["runuser", "-u", self.user, "--"] + argv
        return run(argv, cwd=self.dir)

    def start(self):
        self._as_server([f"{PGBIN}/pg_ctl", "-D", self.data, "-w", "-l", f"{self.dir}/log",
                         "start"])

    def psql(self, sql, db="shop"):
        """SQL as the superuser, past the gate."""
        return run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.dir,
                    "-p", str(self.port), "-U", "postgres", "-d", db, "-c", sql])

    def state(self):
        """All that a statement could have changed, as one text."""
        dump = run([f"{PGBIN}/pg_dump", "-h", self.dir, "-p", str(self.port), "-U", "postgres",
                    "shop"])
        # pg_dump of newer minors writes a random restrict key
        lines = [l for l in dump.splitlines() if not l.startswith(("\\restrict", "\\unrestrict"))]
        more = self.psql("SELECT count(*) FROM pg_largeobject_metadata; "
                         "SELECT count(*) FROM pg_prepared_xacts; "
                         "SELECT count(*) FROM pg_replication_slots; "
                         "SELECT last_value, is_called FROM serial_numbers; "
                         "SELECT rolname, rolpassword FROM pg_authid ORDER BY 1; "
                         "SELECT count(*) FROM pg_db_role_setting; "
                         "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'; "
                         "SELECT datname FROM pg_database ORDER BY 1")
        return "\n".join(lines) + more

    def log(self):
        with open(f"{self.dir}/log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        try:
            self._as_server([f"{PGBIN}/pg_ctl", "-D", self.data, "-m", "immediate", "stop"])
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)


class Gate:
    """The shipped binary, started as pinfoldd starts it."""

    started = []

    def __init__(self, binary, pg_port, user="reader", password="scram-secret-7Q", tls="off",
                 host="db.internal", ca_pem=None, database="shop", limits=None, name="orders",
                 expect="ready", ip="127.0.0.1", endpoints=1):
        self.records = []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1024)
        self.port = self.listener.getsockname()[1]
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.stderr = tempfile.TemporaryFile()

        def child():
            os.dup2(theirs.fileno(), 3)

        self.process = subprocess.Popen([binary], env={}, preexec_fn=child,
                                        close_fds=False, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.stderr)
        Gate.started.append(self.process)
        theirs.close()
        message = {"session": "test2345", "limits": limits or {}, "endpoints": [{
            "name": name, "id": i, "type": "postgres", "listener": i,
            "addresses": [{"ip": ip, "port": pg_port}], "host": host, "database": database,
            "user": user, "password": password, "tls": tls, "ca_pem": ca_pem}
            for i in range(endpoints)]}
        socket.send_fds(self.control, [json.dumps(message).encode()],
                        [self.listener.fileno()] * endpoints)
        self.control.settimeout(DEADLINE)
        answer = json.loads(self.control.recv(65536))
        self.control.settimeout(None)
        if expect not in answer:
            raise Failure(f"gate said {answer}")
        self.ca_pem = answer["ready"]["ca_pem"] if expect == "ready" else None
        self.answer = answer
        self.thread = threading.Thread(target=self._collect, daemon=True)
        self.thread.start()

    def _collect(self):
        while True:
            data = self.control.recv(65536)
            if not data:
                return
            for line in data.decode().splitlines():
                self.records.append(json.loads(line))

    def wait_record(self, what, match, start=0):
        return wait_for(what, lambda: [r for r in self.records[start:] if match(r)])

    def log(self):
        self.stderr.seek(0)
        return self.stderr.read().decode(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("VmHWM"):
                    return int(line.split()[1])
        raise Failure("no VmHWM")

    @classmethod
    def kill_all(cls):
        """What failed tests left behind: a gate outlives whoever started it."""
        for process in cls.started:
            if process.poll() is None:
                process.kill()

    def children(self):
        """Zygote and worker, by pid."""
        out = []
        todo = [self.process.pid]
        while todo:
            pid = todo.pop()
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                    kids = [int(x) for x in f.read().split()]
            except FileNotFoundError:
                continue
            out += kids
            todo += kids
        return out

    def stop(self):
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failure("gate did not end on SIGTERM") from None
        self.listener.close()
        self.thread.join(DEADLINE)
        self.control.close()
        return status
