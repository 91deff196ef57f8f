# SPDX-License-Identifier: Apache-2.0
"""pinfoldd, started while nothing else runs: to attach its programs the kernel patches its own
text, and what qemu 7.2 has translated on another processor meanwhile may stay half patched, which
the kernel takes for a fault ("Oops: int3")."""

import os
import socket
import subprocess
import tempfile
import time


def start(log, seconds):
    """The process, once it serves; it says so as to systemd. An error when it does not."""
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as place, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(f"{place}/notify")
        notify.settimeout(1)
        with open(log, "ab") as out:
            process = subprocess.Popen(["pinfoldd"], stderr=out,
                                       env={**os.environ, "NOTIFY_SOCKET": f"{place}/notify"})
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if notify.recv(64) == b"READY=1":
                    return process
            except TimeoutError:
                pass
    process.kill()
    raise RuntimeError(f"pinfoldd does not serve: see {log}")
