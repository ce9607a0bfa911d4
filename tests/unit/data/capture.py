#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Records what a Linux kernel leaves to a network device, and what it does itself for one that
does nothing: net_frames.def, which test_offload.c compares with ours.

  capture.py [--random N] [--seeds FOLDER] > net_frames.def     as root; by hand, not by the tests

Two namespaces with a TAP device each, which take partial checksums and TSO, talk by TCP and UDP;
this program passes the frames on and keeps some, with their virtio headers. Each frame kept then
goes, with its header, to a third device that takes neither (by a packet socket with
PACKET_VNET_HDR), and what comes out there is the kernel's own segmentation and checksum.

Some frames are altered on their way into the third device, for what does not come about easily (a
sequence number that wraps, FIN). --random N adds N such frames, altered at random and of any
segment size: for a look at more cases than are kept. --seeds writes the frames as seeds for
fuzz_net_frame.
"""
import argparse
import contextlib
import ctypes
import fcntl
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
TUNSETIFF, TUNSETOFFLOAD = 0x400454ca, 0x400454d0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
OFFLOADS = 0x1 | 0x2 | 0x4 | 0x8  # CSUM, TSO4, TSO6, TSO_ECN
SOL_PACKET, PACKET_VNET_HDR = 263, 15
IPV6_DSTOPTS = 59
VNET = struct.Struct("<BBHHHH")
NEEDS_CSUM = 1
ECN = 0x80
PORT = 5001
TCP, UDP = 6, 17
FIN, SYN, PSH, URG, CWR = 1, 2, 8, 0x20, 0x80


def run(*words):
    subprocess.run(words, check=True)


@contextlib.contextmanager
def inside(name):
    """This thread, in that network namespace."""
    old = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    new = os.open("/run/netns/" + name, os.O_RDONLY)
    try:
        if LIBC.setns(new, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        LIBC.setns(old, CLONE_NEWNET)
        os.close(old)
        os.close(new)


def tap(ns, mac, offloads):
    """A TAP device t0 in a namespace; with virtio headers where it has offloads."""
    with inside(ns):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        flags = IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if offloads else 0)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"t0", flags))
        fcntl.ioctl(fd, TUNSETOFFLOAD, offloads)
        run("ip", "link", "set", "t0", "address", mac, "up")
    return fd


class Frame:
    """A frame with its virtio header."""

    def __init__(self, packet):
        self.packet = bytes(packet)
        (self.flags, self.gso, self.hdr_len, self.size, self.start,
         self.offset) = VNET.unpack_from(packet)
        self.bytes = bytearray(packet[VNET.size:])
        self.l3 = 14
        while self.bytes[self.l3 - 2:self.l3] in (b"\x81\x00", b"\x88\xa8"):
            self.l3 += 4
        ethertype = self.bytes[self.l3 - 2:self.l3]
        self.v4 = ethertype == b"\x08\x00"
        self.v6 = ethertype == b"\x86\xdd"
        self.l4 = self.start

    def proto(self):
        return {16: TCP, 6: UDP}.get(self.offset) if self.flags & NEEDS_CSUM else None

    def of_ours(self):
        return (self.proto() is not None
                and int.from_bytes(self.bytes[self.l4 + 2:self.l4 + 4], "big") == PORT)

    def headers(self):
        """Bytes up to the payload."""
        if self.gso:
            return self.l4 + (self.bytes[self.l4 + 12] >> 4) * 4
        return self.start + self.offset + 2

    def segments(self):
        return -(-(len(self.bytes) - self.headers()) // self.size) if self.size else 1

    def packed(self):
        return VNET.pack(self.flags, self.gso, self.headers() if self.gso else 0, self.size,
                         self.start, self.offset) + bytes(self.bytes)

    def copy(self):
        return Frame(self.packed())

    def tcp_flags(self):
        return self.bytes[self.l4 + 13]


class Wire:
    """Two namespaces that talk, and this program between their devices."""

    def __init__(self, prefix):
        self.a, self.b = prefix + "a", prefix + "b"
        self.taps = []
        for ns, n in ((self.a, 1), (self.b, 2)):
            self.taps.append(tap(ns, f"02:00:00:00:00:0{n}", OFFLOADS))
            with inside(ns):
                run("ip", "addr", "add", f"10.98.0.{n}/24", "dev", "t0")
                run("ip", "addr", "add", f"fd98::{n}/64", "dev", "t0", "nodad")
                with open("/proc/sys/net/ipv4/tcp_ecn", "w", encoding="ascii") as f:
                    f.write("1")
        self.seen = []
        self.mark = False  # congestion experienced, on all data towards b

    def sysctl(self, name, value):
        for ns in (self.a, self.b):
            with inside(ns), open("/proc/sys/net/ipv4/" + name, "w", encoding="ascii") as f:
                f.write(str(value))

    def congested(self, frame):
        ip = frame.bytes
        if frame.v4 and ip[frame.l3 + 1] & 3:
            ip[frame.l3 + 1] |= 3
            ip[frame.l3 + 10:frame.l3 + 12] = b"\0\0"
            ip[frame.l3 + 10:frame.l3 + 12] = checksum(ip[frame.l3:frame.l3 + 20])
        elif frame.v6 and ip[frame.l3 + 1] & 0x30:
            ip[frame.l3 + 1] |= 0x30
        return frame.packet[:VNET.size] + bytes(ip)

    def pump(self, until, seconds=5.0):
        """Passes frames on until it is so."""
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                raise TimeoutError("the two ends do not get on")
            for fd in select.select(self.taps, [], [], 0.02)[0]:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        packet = os.read(fd, 70000)
                        frame = Frame(packet)
                        if fd == self.taps[0]:
                            if frame.of_ours():
                                self.seen.append(frame)
                            if self.mark:
                                packet = self.congested(frame)
                        os.write(self.taps[0] if fd == self.taps[1] else self.taps[1], packet)

    def connect(self, address, mss, options=None):
        """A connection from a to b; both ends do not block."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with inside(self.b):
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, PORT))
            listener.listen(1)
        with inside(self.a):
            one = socket.socket(family, socket.SOCK_STREAM)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if options and family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, IPV6_DSTOPTS, options)
        elif options:
            one.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)
        one.setblocking(False)
        listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.connect((address, PORT))
        self.pump(lambda: select.select([listener], [], [], 0)[0])
        two = listener.accept()[0]
        two.setblocking(False)
        listener.close()
        return one, two

    def tcp(self, address, mss, sizes, options=None):
        """Sends data of these sizes, one after the other, and returns the GSO frames."""
        one, two = self.connect(address, mss, options)
        self.seen = []
        for size in sizes:
            left = size
            one.send(DATA.randbytes(size))

            def arrived():
                nonlocal left
                with contextlib.suppress(BlockingIOError):
                    left -= len(two.recv(70000))
                return left == 0

            self.pump(arrived)
        one.close()
        two.close()
        with contextlib.suppress(TimeoutError):
            self.pump(lambda: False, 0.1)
        return [f for f in self.seen if f.gso], [f for f in self.seen if not f.gso]

    def udp(self, address, data):
        """One datagram; always from the same port."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with inside(self.a):
            s = socket.socket(family, socket.SOCK_DGRAM)
        s.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 5002))
        self.seen = []
        s.sendto(data, (address, PORT))
        self.pump(lambda: self.seen)
        s.close()
        return self.seen[0]


class Oracle:
    """The kernel, in front of a device that has no offloads."""

    def __init__(self, ns):
        self.tap = tap(ns, "02:00:00:00:00:03", 0)
        with inside(ns):
            run("ip", "link", "set", "t0", "mtu", "9000", "txqueuelen", "100000")
            with open("/proc/sys/net/ipv6/conf/t0/disable_ipv6", "w", encoding="ascii") as f:
                f.write("1")
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.socket.bind(("t0", 0))
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)

    def wire(self, frame):
        """What the kernel makes of it: (bytes of headers, bytes of payload) each."""
        with contextlib.suppress(BlockingIOError):
            while True:
                os.read(self.tap, 70000)
        self.socket.send(frame.packed())
        parts, at, end = [], frame.headers(), time.monotonic() + 1
        while at < len(frame.bytes) or not parts:
            if not select.select([self.tap], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("the kernel does not send it")
            part = os.read(self.tap, 70000)
            body = part[frame.headers():]
            if body != frame.bytes[at:at + len(body)]:
                raise ValueError("what came out is not what went in")
            at += len(body)
            parts.append((part[:frame.headers()], len(body)))
        return parts


def checksum(data):
    total = sum(int.from_bytes(data[i:i + 2].ljust(2, b"\0"), "big")
                for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return (~total & 0xffff).to_bytes(2, "big")


def altered(frame, **how):
    """A copy with some fields of TCP or IPv4 set, as senders of GSO frames may have them."""
    f = frame.copy()
    if "seq" in how:
        f.bytes[f.l4 + 4:f.l4 + 8] = how["seq"].to_bytes(4, "big")
    if "flags" in how:
        f.bytes[f.l4 + 13] = how["flags"]
        f.gso = f.gso & ~ECN | (ECN if how["flags"] & CWR else 0)
    if "urgent" in how:
        f.bytes[f.l4 + 18:f.l4 + 20] = how["urgent"].to_bytes(2, "big")
    if "size" in how:
        f.size = how["size"]
    if "ident" in how:
        f.bytes[f.l3 + 4:f.l3 + 6] = how["ident"].to_bytes(2, "big")
    return f


def in_vlan(frame, vid, ethertype=0x8100):
    """As a VLAN device on top of the TAP device sends it."""
    f = frame.copy()
    f.bytes[12:12] = ethertype.to_bytes(2, "big") + vid.to_bytes(2, "big")
    f.start += 4
    return Frame(f.packed())


def hex_lines(data, first, last):
    text = data.hex()
    lines = [f'\t"{text[i:i + 80]}"' for i in range(0, len(text), 80)]
    return first + "\n" + "\n".join(lines) + last


def show(oracle, name, frame):
    print(hex_lines(frame.bytes, f'FRAME("{name}", {frame.flags}, {frame.gso}, {frame.size}, '
                    f"{frame.start}, {frame.offset},", ")"))
    for head, body in oracle.wire(frame):
        print(hex_lines(head, f"WIRE({body},", ")"))
    print("END")


def seed(frame, number):
    """In memory of one piece, of pages, of header and frame."""
    third, others = ((0, 0), (0, 0), (100, 12), (60, 54))[number % 4]
    return bytes([4, third, others]) + frame.packed()[:VNET.size] + bytes(2) + bytes(frame.bytes)


def biggest(frames, least=3):
    frame = max(frames, key=lambda f: f.segments())
    if frame.segments() < least:
        raise ValueError("no frame of so many segments was seen")
    return frame


def kept(wire):
    """(name, frame) each."""
    padding = bytes([0, 0, 1, 4, 0, 0, 0, 0])
    frames = []
    gso, plain = wire.tcp("10.98.0.2", 200, (1111, 900))
    v4 = biggest(gso)
    frames.append(("TCP over IPv4", v4))
    frames.append(("TCP over IPv4, not GSO", plain[0]))
    v6 = biggest(wire.tcp("fd98::2", 200, (1111,))[0])
    frames.append(("TCP over IPv6", v6))
    frame = biggest(wire.tcp("10.98.0.2", 160, (777,))[0])
    frames.append(("TCP over IPv4 in a VLAN", in_vlan(frame, 5)))
    frame = biggest(wire.tcp("fd98::2", 160, (777,))[0])
    frames.append(("TCP over IPv6 in a VLAN", in_vlan(frame, 4094)))
    frame = biggest(wire.tcp("fd98::2", 160, (600,), padding)[0])
    frames.append(("TCP over IPv6 with destination options", frame))
    frame = biggest(wire.tcp("10.98.0.2", 160, (500,), bytes([1, 1, 1, 0]))[0])
    frames.append(("TCP over IPv4 with options", frame))
    frames.append(("TCP in two VLANs", in_vlan(in_vlan(frame, 7), 8)))
    frames.append(("TCP in two VLANs, the outer one a service's",
                   in_vlan(in_vlan(frame, 7), 8, 0x88a8)))
    wire.sysctl("tcp_timestamps", 0)
    frames.append(("TCP without options", biggest(wire.tcp("10.98.0.2", 161, (800,))[0])))
    wire.sysctl("tcp_timestamps", 1)
    wire.mark = True
    for name, address in (("IPv4", "10.98.0.2"), ("IPv6", "fd98::2")):
        gso, _ = wire.tcp(address, 160, (500,) * 6)
        marked = [f for f in gso if f.tcp_flags() & CWR]
        if not marked or not marked[0].gso & ECN:
            raise ValueError("no frame with CWR was seen")
        frames.append((f"TCP over {name} with CWR", biggest(marked, 2)))
    wire.mark = False

    frames.append(("FIN and PSH", altered(v4, flags=v4.tcp_flags() | FIN | PSH)))
    frames.append(("urgent", altered(v6, flags=v6.tcp_flags() | URG, urgent=900)))
    frames.append(("identification and sequence wrap",
                   altered(v4, ident=0xfffe, seq=0xffffff00)))
    frames.append(("one segment short of two", altered(v4, size=len(v4.bytes) - v4.headers() - 1)))

    frames.append(("UDP over IPv4", wire.udp("10.98.0.2", DATA.randbytes(101))))
    frames.append(("UDP over IPv6", wire.udp("fd98::2", DATA.randbytes(33))))
    frame = wire.udp("10.98.0.2", DATA.randbytes(64))
    frames.append(("UDP over IPv4 in a VLAN", in_vlan(frame, 5)))
    frames.append(("UDP over IPv6 in a VLAN", in_vlan(wire.udp("fd98::2", b""), 5)))
    # Two bytes that bring the sum to 0.
    for name, address in (("IPv4", "10.98.0.2"), ("IPv6", "fd98::2")):
        frame = wire.udp(address, bytes(2))
        missing = checksum(frame.bytes[frame.start:])
        frames.append((f"UDP over {name}, checksum 0", wire.udp(address, missing)))
    return frames


def anything(frames, n):
    """n frames, altered at random."""
    gso = [f for _, f in frames if f.gso]
    for _ in range(n):
        f = DATA.choice(gso)
        size = len(f.bytes) - f.headers()
        f = altered(f, seq=DATA.getrandbits(32), flags=DATA.getrandbits(8) & ~SYN,
                    urgent=DATA.getrandbits(16), size=DATA.randint(size // 12 + 8, size - 1))
        if f.v4:
            f = altered(f, ident=DATA.getrandbits(16))
        body = f.headers() + size - DATA.randint(0, size - f.size - 1)
        f.bytes[f.headers():] = DATA.randbytes(body - f.headers())
        at, length = (2, body - f.l3) if f.v4 else (4, body - f.l3 - 40)
        f.bytes[f.l3 + at:f.l3 + at + 2] = length.to_bytes(2, "big")
        yield "random", f


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seeds")
    args = parser.parse_args()
    prefix = f"tvqcap{os.getpid()}"
    names = [prefix + c for c in "abw"]
    try:
        for name in names:
            run("ip", "netns", "add", name)
        wire, oracle = Wire(prefix), Oracle(names[2])
        print("/* SPDX-License-Identifier: BSD-3-Clause */")
        print("/* Recorded by capture.py: frames as a Linux kernel hands them to a device with")
        print(" * offloads, and what it sends itself through one without. FRAME: name, the virtio")
        print(" * header's flags, gso_type, gso_size, csum_start, csum_offset; the frame. WIRE, in")
        print(" * order: bytes of the frame's payload that follow; headers in front of them. */")
        frames = kept(wire)
        for name, frame in frames:
            show(oracle, name, frame)
        for number, (_, frame) in enumerate(frames):
            if args.seeds:
                with open(f"{args.seeds}/frame-{number:02}", "wb") as f:
                    f.write(seed(frame, number))
        for name, frame in anything(frames, args.random):
            show(oracle, name, frame)
    finally:
        for name in names:
            subprocess.run(("ip", "netns", "del", name), check=False)


DATA = random.Random(4)
if __name__ == "__main__":
    main()
