#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Records what a vfio-user client sends, as a seed for fuzz_vfio_user.

  record_vfio_user.py LISTEN SERVER SEED

Stands between a client, which connects to LISTEN, and the server on SERVER, and passes on both
ways what they send, descriptors included. Ends with the client, and has then written SEED: the
client's messages in the harness' own form. Runs of reads are left out but for the first ones.
"""
import os
import selectors
import socket
import stat
import struct
import sys

HEADER = struct.Struct("=HHIII")
MESSAGE = 0
ANSWER = 2
MEMORY, EVENT = 0, 2
REPLY = 1
REGION_READ = 9
READS_KEPT = 3
MAX_SIZE = 1 << 17


def kind(fd):
    """What stands for a descriptor in the harness."""
    return MEMORY if stat.S_ISREG(os.fstat(fd).st_mode) else EVENT


class Recorder:
    """Makes steps of messages."""

    def __init__(self):
        self.seed = bytearray()
        self.reads = 0

    def step(self, header, payload, fds):
        """One message."""
        _, command, _, flags, _ = HEADER.unpack(header)
        if flags & 15 == REPLY:
            self.seed += bytes([ANSWER, 0])
            return
        self.reads = self.reads + 1 if command == REGION_READ else 0
        if self.reads > READS_KEPT or len(payload) >= 1 << 16:
            return
        self.seed += bytes([MESSAGE, command, flags]) + struct.pack("<H", len(payload))
        self.seed += bytes([len(fds)] + [kind(fd) for fd in fds]) + payload


def read(source, size, fds):
    """So many bytes, fewer at the end; adds the descriptors that come along."""
    data = b""
    while len(data) < size:
        part, more, _, _ = socket.recv_fds(source, size - len(data), 64)
        fds += more
        data += part
        if not part:
            break
    return data


def relay(source, sink, recorder):
    """One message, as it came: its descriptors come with its first byte. False: the end."""
    fds = []
    header = read(source, HEADER.size, fds)
    if len(header) < HEADER.size:
        return False
    size = HEADER.unpack(header)[2]
    if size > MAX_SIZE or size < HEADER.size:
        sys.exit("record_vfio_user: a message of %d bytes" % size)
    payload = read(source, size - HEADER.size, fds)
    if recorder:
        recorder.step(header, payload, fds)
    sent = socket.send_fds(sink, [header + payload], fds)
    sink.sendall((header + payload)[sent:])
    for fd in fds:
        os.close(fd)
    return True


def main():
    """See above."""
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(1)
    client, _ = listener.accept()
    server = socket.socket(socket.AF_UNIX)
    server.connect(sys.argv[2])
    recorder = Recorder()
    pairs = {client: (server, recorder), server: (client, None)}
    selector = selectors.DefaultSelector()
    for sock in pairs:
        selector.register(sock, selectors.EVENT_READ)
    try:
        while all(relay(key.fileobj, *pairs[key.fileobj]) for key, _ in selector.select()):
            pass
    except ConnectionError:
        pass
    os.unlink(sys.argv[1])
    with open(sys.argv[3], "wb") as out:
        out.write(recorder.seed)


if __name__ == "__main__":
    main()
