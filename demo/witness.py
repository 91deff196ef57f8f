# SPDX-License-Identifier: Apache-2.0
"""A host that the agent must not reach: writes a line to LOG for every byte that arrives by TCP or UDP.

usage: witness.py ADDRESS PORT LOG
"""
import selectors
import socket
import sys

address, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
tcp = socket.create_server((address, port), backlog=64)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((address, port))
selector = selectors.DefaultSelector()
selector.register(tcp, selectors.EVENT_READ)
selector.register(udp, selectors.EVENT_READ)
with open(path, "w", buffering=1) as log:
    log.write("listening\n")
    while True:
        for key, _ in selector.select():
            if key.fileobj is tcp:
                peer = tcp.accept()[1]
                log.write(f"tcp from {peer}\n")
            else:
                data, peer = udp.recvfrom(2048)
                log.write(f"udp from {peer}: {data!r}\n")
