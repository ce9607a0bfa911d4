# SPDX-License-Identifier: BSD-3-Clause
"""The rows of 64-byte frames over vhost-user: dpdk-testpmd is the client, by virtio_user, of tvqd
and of another dpdk-testpmd with the vhost driver. One thread on each side, on a CPU of its own;
both poll.

  to a sink      the client sends (txonly); ours counts in a sink port, the peer in rxonly
  from a source  the client receives (rxonly); ours sends from a source port, the peer in txonly
  port to port   the client has both ends (io): frames go round through the server and back

A process stays in the state that it happened to start in (where its memory lies, who is a little
faster): servers and clients are started anew for each repetition, and take turns.
"""

import os
import sys

from block import CLIENT_CPU, SERVER_CPU
from report import Row
from servers import Tvqd
from testpmd import HugePages, Testpmd, vhost, virtio_user

MACS = ("02:00:00:00:01:01", "02:00:00:00:01:02")
FAR = "02:00:00:00:02:01"  # the sink's, the source's
BURSTS = 8  # of 32 frames, that go round

# What the client does, what it counts, what the peer's server does, number of ports.
KINDS = {
    "to a sink": ("txonly", "TX", "rxonly", 1),
    "from a source": ("rxonly", "RX", "txonly", 1),
    "port to port": ("io", "RX", "io", 2),
}


def say(text):
    print(f"  net {text}", file=sys.stderr)


class Packets:
    """One kind of traffic and one ring format."""

    def __init__(self, config, kind, packed):
        self.config, self.kind, self.packed = config, kind, packed
        name = f"net 64 bytes {kind}, {'packed' if packed else 'split'}"
        self.row = Row(name, "packets/s", "dpdk-testpmd, vhost driver", aim=1.0, paired=True)

    def rows(self):
        return [self.row]

    def keep(self, wanted):
        return wanted(self.row.name)

    def run(self):
        with HugePages():
            for i in range(self.config.reps):
                for ours in (True, False) if i % 2 else (False, True):
                    if not (ours and self.config.peers_only):
                        self._repetition(ours)

    def _repetition(self, ours):
        folder = os.path.join(self.config.folder, "net-server")
        server = self._tvqd(folder) if ours else self._peer(folder)
        client = None
        try:
            client = self._client(folder)
            client.start(BURSTS if self.kind == "port to port" else 0)
            direction = KINDS[self.kind][1]
            client.packets(0.3, direction)  # warms up
            value = self.config.watch.sample(
                lambda: client.packets(self.config.ms / 1000, direction), Both(server, client))
            (self.row.ours if ours else self.row.peer).append(value)
            say(f"{self.row.name[4:]}, {server.label}: {value / 1e6:.2f} M/s")
        finally:
            if client:
                client.stop()
            server.stop()

    def _sockets(self, folder):
        return [os.path.join(folder, f"net{i}") for i in range(KINDS[self.kind][3])]

    def _tvqd(self, folder):
        server = Tvqd(folder, self.config.tvqd, True, SERVER_CPU)
        for i, socket in enumerate(self._sockets(folder)):
            server.call(server.request("dev add", name=f"net{i}", mgmtdev="mgmt0",
                                       **{"class": "net"}, mac=MACS[i], vhost_user=socket))
        if self.kind == "to a sink":
            server.call(server.request("switch port add", name="far", sink=True, mac=FAR))
        if self.kind == "from a source":
            server.call(server.request("switch port add", name="far", source=True, mac=FAR,
                                       to=MACS[0], size=60))
        return server

    def _peer(self, folder):
        server = Testpmd(folder, SERVER_CPU, [vhost(i, socket) for i, socket
                                              in enumerate(self._sockets(folder))],
                         KINDS[self.kind][2])
        server.start()
        return server

    def _client(self, folder):
        sockets = self._sockets(folder)
        peers = [MACS[1], MACS[0]] if len(sockets) > 1 else [FAR]
        return Testpmd(os.path.join(self.config.folder, "net-client"), CLIENT_CPU,
                       [virtio_user(i, socket, MACS[i], self.packed)
                        for i, socket in enumerate(sockets)], KINDS[self.kind][0], peers)


class Both:
    """CPU time of server and client: it is nobody else's."""

    def __init__(self, *parts):
        self.parts = parts

    def cpu_seconds(self):
        return sum(part.cpu_seconds() for part in self.parts)


def groups(config):
    return [Packets(config, kind, packed) for kind in KINDS for packed in (False, True)]
