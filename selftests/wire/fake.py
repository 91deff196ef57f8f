# SPDX-License-Identifier: Apache-2.0
"""A server that lies: it speaks as much of the protocol as a script tells it, one connection at a
time. The gate must close such a connection and live."""

import select
import socket
import struct
import threading

from harness import DEADLINE
from raw import Closed, cstr, msg

GOOD = {"client_encoding": "UTF8", "standard_conforming_strings": "on",
        "default_transaction_read_only": "on", "server_version": "15.0"}


def param(name, value):
    return msg("S", cstr(name) + cstr(value))


def error(severity, code, text):
    return msg("E", b"S" + cstr(severity) + b"V" + cstr(severity) + b"C" + cstr(code) + b"M" +
               cstr(text) + b"\0")


AUTH_OK = msg("R", struct.pack("!i", 0))
KEY = msg("K", struct.pack("!II", 1, 2))
READY = msg("Z", b"I")
ARMED = msg("1") * 9 + READY
CANCEL = struct.pack("!i", 80877102)


def served(value):
    """The replies to one simple query with a row of one value, in the gate's transaction."""
    return (msg("2") + msg("C", cstr("BEGIN")) + msg("1") + msg("2") +
            msg("T", b"\0\1" + cstr("a") + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)) +
            msg("D", struct.pack("!hi", 1, len(value)) + value) + msg("C", cstr("SELECT 1")) +
            msg("2") + msg("C", cstr("ROLLBACK")) + READY)


def login(params=None):
    """All that a server says up to its first ReadyForQuery."""
    return AUTH_OK + b"".join(param(k, v) for k, v in (params or GOOD).items()) + KEY + READY


class Peer:
    def __init__(self, sock):
        self.sock = sock

    def take(self, n):
        out = b""
        while len(out) < n:
            piece = self.sock.recv(n - len(out))
            if not piece:
                raise Closed()
            out += piece
        return out

    def first(self):
        (length,) = struct.unpack("!i", self.take(4))
        return self.take(length - 4)

    def until(self, kind):
        while True:
            k = self.take(1).decode("latin1")
            (length,) = struct.unpack("!i", self.take(4))
            self.take(length - 4)
            if k == kind:
                return

    def silent(self, seconds):
        """Nothing comes for so long."""
        return not select.select([self.sock], [], [], seconds)[0]

    def ended(self):
        """Wait until the other side has ended its own."""
        while self.sock.recv(65536):
            pass

    def send(self, data):
        self.sock.sendall(data)

    def log_in(self, params=None):
        self.first()
        self.welcome(params)

    def welcome(self, params=None):
        self.send(login(params))
        self.until("S")
        self.send(ARMED)


class Fake:
    """script(peer) is run for each connection; the end of it, or Closed, closes."""

    def __init__(self, script):
        self.script = script
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        self.seen = 0
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.seen += 1
            sock.settimeout(DEADLINE)
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock):
        try:
            self.script(Peer(sock))
        except (Closed, OSError):
            pass
        finally:
            sock.close()

    def stop(self):
        # Wakes the accept.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
