# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL client that sends exactly the bytes it is told to."""

import socket
import ssl
import struct

from harness import DEADLINE, Failure


def cstr(s):
    return (s if isinstance(s, bytes) else s.encode()) + b"\0"


def msg(kind, body=b""):
    return kind.encode() + struct.pack("!i", len(body) + 4) + body


def query(sql):
    return msg("Q", cstr(sql))


def parse(sql, name="", types=()):
    return msg("P", cstr(name) + cstr(sql) + struct.pack("!h", len(types)) +
               b"".join(struct.pack("!I", t) for t in types))


def bind(portal="", statement="", values=()):
    body = cstr(portal) + cstr(statement) + struct.pack("!hh", 0, len(values))
    for v in values:
        v = v.encode()
        body += struct.pack("!i", len(v)) + v
    return msg("B", body + struct.pack("!h", 0))


def describe(what, name=""):
    return msg("D", what.encode() + cstr(name))


def execute(portal="", rows=0):
    return msg("E", cstr(portal) + struct.pack("!i", rows))


def close(what, name=""):
    return msg("C", what.encode() + cstr(name))


SYNC = msg("S")
FLUSH = msg("H")


def startup(params=None, version=0x30000):
    params = {"user": "agent", "database": "orders"} if params is None else params
    body = struct.pack("!I", version)
    for k, v in params.items():
        body += cstr(k) + cstr(v)
    body += b"\0"
    return struct.pack("!i", len(body) + 4) + body


SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GSS_REQUEST = struct.pack("!ii", 8, 80877104)


class Closed(Exception):
    """The other side ended the connection."""


class Message:
    def __init__(self, kind, body):
        self.kind = kind
        self.body = body

    def fields(self):
        """Of an error or a notice."""
        return {f[:1].decode(): f[1:].decode() for f in self.body.split(b"\0") if f}

    def __repr__(self):
        return f"{self.kind}:{self.body!r}"


class Raw:
    def __init__(self, port, login=True, params=None, tls=None):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.params = {}
        self.key = None
        if tls:
            self.start_tls(tls)
        if login:
            self.send(startup(params))
            self.welcome()

    def start_tls(self, context):
        self.sock.sendall(SSL_REQUEST)
        if self.take(1) != b"S":
            raise Failure("no S to SSLRequest")
        self.sock = context.wrap_socket(self.sock, server_hostname="orders")

    def send(self, *data):
        self.sock.sendall(b"".join(data))

    def take(self, n):
        out = b""
        while len(out) < n:
            try:
                piece = self.sock.recv(n - len(out))
            except (ConnectionResetError, ssl.SSLEOFError) as e:
                raise Closed() from e
            if not piece:
                raise Closed()
            out += piece
        return out

    def message(self):
        kind = self.take(1).decode("latin1")
        (length,) = struct.unpack("!i", self.take(4))
        return Message(kind, self.take(length - 4))

    def until(self, last="Z"):
        """Messages up to and with one of this kind."""
        out = []
        while True:
            m = self.message()
            out.append(m)
            if m.kind in last:
                return out

    def welcome(self):
        out = self.until("ZE")
        if out[-1].kind == "E":
            raise Failure(out[-1].fields())
        for m in out:
            if m.kind == "S":
                k, v = m.body.split(b"\0")[:2]
                self.params[k.decode()] = v.decode()
            if m.kind == "K":
                self.key = struct.unpack("!II", m.body)
        return out

    def ask(self, *data):
        """Send, and all answers to ReadyForQuery."""
        self.send(*data)
        return self.until("Z")

    def closed(self):
        """True when the peer closes (whatever it says before)."""
        try:
            while True:
                self.message()
        except Closed:
            return True
        except TimeoutError:
            return False

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()


def kinds(messages):
    return "".join(m.kind for m in messages)


def error_of(messages):
    for m in messages:
        if m.kind == "E":
            return m.fields()
    return None


def rows_of(messages):
    out = []
    for m in messages:
        if m.kind != "D":
            continue
        (n,) = struct.unpack("!h", m.body[:2])
        at, row = 2, []
        for _ in range(n):
            (length,) = struct.unpack("!i", m.body[at:at + 4])
            at += 4
            if length < 0:
                row.append(None)
                continue
            row.append(m.body[at:at + length].decode())
            at += length
        out.append(row)
    return out
