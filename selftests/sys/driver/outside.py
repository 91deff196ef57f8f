# SPDX-License-Identifier: Apache-2.0
"""What stands outside: servers that note what reaches them, and the accomplice that a session may
ask to connect to it, hand it a descriptor or take one."""

import array
import os
import selectors
import socket
import threading

V4, V6 = "10.99.0.1", "fd99::1"
METADATA4, METADATA6 = "169.254.169.254", "fd00:ec2::254"
PORT = 7777
SECONDS = 5


class Servers:
    """One thread that accepts everything and remembers each line that arrives."""

    def __init__(self, directory, manager):
        self.paths = {"unix-stream": f"{directory}/stream", "unix-dgram": f"{directory}/dgram",
                      "unix-seqpacket": f"{directory}/seqpacket",
                      "abstract-stream": "@pf-victim", "abstract-dgram": "@pf-victim-dgram",
                      "manager": manager}
        self.arrived = set()
        self.connections = 0
        self.datagrams = 0
        self._changed = threading.Condition()
        self._selector = selectors.DefaultSelector()
        self._open_all()
        threading.Thread(target=self._serve, daemon=True).start()

    def _listen(self, family, kind, address):
        s = socket.socket(family, kind)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind != socket.SOCK_DGRAM and family != socket.AF_UNIX:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if isinstance(address, str) and address[0] == "@":
            address = "\0" + address[1:]
        if isinstance(address, str) and address[0] == "/" and os.path.exists(address):
            os.unlink(address)  # of servers before us, who are gone
        s.bind(address)
        if isinstance(address, str) and address[0] != "\0":
            os.chmod(address, 0o777)
        if kind != socket.SOCK_DGRAM:
            s.listen(64)
        s.setblocking(False)
        self._selector.register(s, selectors.EVENT_READ, kind != socket.SOCK_DGRAM)

    def _open_all(self):
        tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
        for kind in (tcp, udp):
            self._listen(socket.AF_INET, kind, ("0.0.0.0", PORT))
            self._listen(socket.AF_INET6, kind, ("::", PORT))
        for ip, port in ((V4, 5432), (V4, 5433), (METADATA4, 80)):
            self._listen(socket.AF_INET, tcp, (ip, port))
        self._listen(socket.AF_INET6, tcp, (METADATA6, 80))
        self._open_mptcp()
        for name, path in self.paths.items():
            kind = (udp if "dgram" in name
                    else socket.SOCK_SEQPACKET if "seqpacket" in name else tcp)
            if path[0] == "/":
                os.makedirs(os.path.dirname(path), exist_ok=True)
            self._listen(socket.AF_UNIX, kind, path)

    def _open_mptcp(self):
        """UDP-Lite, where the kernel has it; MPTCP falls back to the TCP servers above."""
        try:
            lite = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136)
        except OSError:
            return
        lite.bind(("0.0.0.0", PORT))
        lite.setblocking(False)
        self._selector.register(lite, selectors.EVENT_READ, False)

    def _serve(self):
        while True:
            for key, _ in self._selector.select():
                try:
                    self._ready(key.fileobj, key.data)
                except OSError:
                    pass  # a peer that went away; what it sent before has been read

    def _ready(self, sock, listening):
        if listening:
            peer, _ = sock.accept()
            peer.setblocking(False)
            self._selector.register(peer, selectors.EVENT_READ, False)
            with self._changed:
                self.connections += 1
            return
        try:
            data = sock.recv(4096)
        except OSError:
            data = b""
        stream = sock.type != socket.SOCK_DGRAM
        if not data and stream:
            self._selector.unregister(sock)
            sock.close()
        with self._changed:
            if not stream:
                self.datagrams += 1
            self.arrived.update(data.decode("ascii", "replace").split())
            self._changed.notify_all()

    def wait_for(self, word):
        """Whether this line has arrived, waiting a little for it."""
        with self._changed:
            return self._changed.wait_for(lambda: word in self.arrived, timeout=SECONDS)

    def counts(self):
        with self._changed:
            return self.connections, self.datagrams


def send_fd(sock, fd):
    fds = array.array("i", [fd])
    sock.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])


class Accomplice:
    """Answers the requests that attempt prints as "? ..." (attempt.h, ask_outside)."""

    def __init__(self):
        self._taker = None

    def answer(self, words):
        try:
            return getattr(self, "_" + words[0])(*words[1:])
        except OSError as e:
            return e.strerror.replace(" ", "-")

    @staticmethod
    def _connect(path):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(SECONDS)
        s.connect(path)
        return s

    def _give(self, path, what, name=None):
        """Connect to the session's listener and hand it a file or a TCP connection."""
        with self._connect(path) as s:
            if what == "file":
                fd = os.open(name, os.O_RDWR)
                send_fd(s, fd)
                os.close(fd)
            else:
                with socket.create_connection((V4, PORT), timeout=SECONDS) as tcp:
                    send_fd(s, tcp.fileno())
        return "ok"

    def _take(self, path):
        self._taker = self._connect(path)
        return "ok"

    def _taken(self):
        room = socket.CMSG_SPACE(4)
        with self._taker as s:
            _, control, _, _ = s.recvmsg(16, room)
        for _, _, data in control:
            fds = array.array("i")
            fds.frombytes(data[:4])
            os.close(fds[0])
            return "got"
        return "none"

    @staticmethod
    def _drop_caches():
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
            f.write("3")
        return "ok"

    @staticmethod
    def _dial(port):
        with socket.create_connection(("127.0.0.1", int(port)), timeout=SECONDS):
            return "ok"
