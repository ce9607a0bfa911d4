# SPDX-License-Identifier: BSD-3-Clause
"""TCP between two Linux guests, by iperf3: through the switch of a management device, each guest's
virtio_net on a vhost-user socket of tvqd, and through a Linux bridge, each guest with QEMU's own
virtio-net on a tap device of it.

Both guests have both, and their links are measured in turns. They are emulated (TCG) and share the
CPUs with tvqd, QEMU and the kernel, so that the guests are most of what is measured.
"""

import json
import os
import subprocess
import sys
import threading

from guest import Guest
from report import Row
from servers import Failed, Tvqd

SECONDS = 4
# Name, offloads of the guests' drivers.
KINDS = {"1500 bytes": "off", "TSO": "on"}
PROGRAMS = ["--with", "ip", "--with", "ethtool", "--with", "iperf3"]
NETS = {"ours": "10.9.1", "peer": "10.9.2"}


def say(text):
    print(f"  net {text}", file=sys.stderr)


def mac_of(net, guest):
    return f"02:00:00:0{list(NETS).index(net) + 1}:00:0{guest + 1}"


class Bridge:
    """A bridge of the host's with a tap device for each guest; nothing else is on it."""

    def __init__(self):
        self.name = f"tvqb{os.getpid()}"
        self.taps = [f"tvq{os.getpid()}g{i}" for i in range(2)]
        self._ip("link", "add", self.name, "type", "bridge", "forward_delay", "0")
        try:
            for tap in self.taps:
                self._ip("tuntap", "add", tap, "mode", "tap", "vnet_hdr")
                self._ip("link", "set", tap, "master", self.name, "up")
            self._ip("link", "set", self.name, "up")
        except Failed:
            self.remove()
            raise

    @staticmethod
    def _ip(*words):
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"ip {' '.join(words)}: {done.stderr.strip()}")

    def remove(self):
        for link in (*self.taps, self.name):
            subprocess.run(["ip", "link", "del", link], capture_output=True, check=False)


class Streams:
    def __init__(self, config):
        self.config = config
        self.kinds = {kind: Row(f"net TCP between two guests, {kind}", "bit/s",
                                "QEMU's virtio-net, taps on a bridge", aim=1.0, paired=True)
                      for kind in KINDS}
        self.parts, self.guests = [], []

    def rows(self):
        return list(self.kinds.values())

    def keep(self, wanted):
        self.kinds = {kind: row for kind, row in self.kinds.items() if wanted(row.name)}
        return bool(self.kinds)

    def run(self):
        nets = ["peer"] if self.config.peers_only else ["ours", "peer"]
        bridge = Bridge()
        try:
            self._boot(bridge, nets)
            for i in range(self.config.reps):
                for kind, row in self.kinds.items():
                    for net in nets if i % 2 else nets[::-1]:
                        value = self.config.watch.sample(lambda k=kind, n=net: self._stream(k, n),
                                                         self)
                        (row.ours if net == "ours" else row.peer).append(value)
                        say(f"TCP between guests, {kind}, {net}: {value / 1e6:.0f} Mbit/s")
        finally:
            for part in self.parts:
                part.stop()
            bridge.remove()

    def cpu_seconds(self):
        return sum(part.cpu_seconds() for part in self.parts)

    def _boot(self, bridge, nets):
        tvqd = Tvqd(os.path.join(self.config.folder, "streams"), self.config.tvqd, False, None)
        self.parts.append(tvqd)
        arguments = []
        for i, tap in enumerate(bridge.taps):
            socket = os.path.join(tvqd.folder, f"net{i}")
            if "ours" in nets:
                tvqd.call(tvqd.request("dev add", name=f"net{i}", mgmtdev="mgmt0",
                                       **{"class": "net"}, mac=mac_of("ours", i),
                                       vhost_user=socket))
            arguments.append(self._arguments(i, tap, socket if "ours" in nets else None))
        booting = [threading.Thread(target=self._boot_one, args=(i, words))
                   for i, words in enumerate(arguments)]
        for thread in booting:
            thread.start()
        for thread in booting:
            thread.join()
        if len(self.guests) < 2:
            raise Failed("the two guests did not start")
        self.guests.sort(key=lambda guest: guest.folder)
        for i, guest in enumerate(self.guests):
            guest.run("modprobe virtio_net")
            for net in nets:
                guest.run(f"ip addr add {NETS[net]}.{i + 1}/24 dev {self._device(guest, net, i)} "
                          f"&& ip link set {self._device(guest, net, i)} up")
        self.guests[1].run("iperf3 -s -D")

    @staticmethod
    def _arguments(i, tap, socket):
        words = ["-netdev", f"tap,id=peer,ifname={tap},script=no,downscript=no,vhost=off",
                 "-device", f"virtio-net-pci,netdev=peer,mac={mac_of('peer', i)}"]
        if socket:
            words += ["-chardev", f"socket,id=vu,path={socket}",
                      "-netdev", "vhost-user,id=ours,chardev=vu",
                      "-device", f"virtio-net-pci,netdev=ours,mac={mac_of('ours', i)}"]
        return words

    def _boot_one(self, i, arguments):
        try:
            guest = Guest(self.config, PROGRAMS, arguments, name=f"guest{i}")
        except (Failed, OSError) as e:
            say(f"guest {i}: {e}")
            return
        self.guests.append(guest)
        self.parts.append(guest)

    @staticmethod
    def _device(guest, net, i):
        mac = mac_of(net, i)
        return guest.run(f"grep -l {mac} /sys/class/net/*/address")[0].split("/")[4]

    def _stream(self, kind, net):
        """Bits a second that the second guest gets."""
        for i, guest in enumerate(self.guests):
            guest.run(f"ethtool -K {self._device(guest, net, i)} tso {KINDS[kind]} "
                      f"gso {KINDS[kind]} gro {KINDS[kind]}")
        lines = self.guests[0].run(f"iperf3 -c {NETS[net]}.2 -t {SECONDS} -O 1 -J")
        return json.loads("\n".join(lines))["end"]["sum_received"]["bits_per_second"]


def groups(config):
    return [Streams(config)]
