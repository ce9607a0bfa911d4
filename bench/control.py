# SPDX-License-Identifier: BSD-3-Clause
"""The rows of the control path: devices that come and go, and what idle ones cost."""

import itertools
import os
import sys
import time

from report import Row
from servers import Storaged, Tvqd

BATCH = 16  # requests in flight on the one control connection
PRESENTED = 1000  # each needs a descriptor; beyond, devices are managed ones without a socket
IDLE_SECONDS = 10
SIZE = 1 << 30


def say(text):
    print(f"  {text}", file=sys.stderr)


class Crowd:
    """A server with living devices."""

    def __init__(self, config, kind):
        binary = config.tvqd if kind is Tvqd else config.qsd
        self.server = kind(os.path.join(config.folder, kind.__name__.lower()), binary, False, None)
        self.folder = self.server.folder
        self.names = itertools.count()
        self.living, self.prepared = 0, False

    def _adds(self, names):
        """Requests that make presented devices of these names."""
        paths = [os.path.join(self.folder, name) for name in names]
        if isinstance(self.server, Tvqd):
            return list(map(self.server.add_request, names, paths))
        return list(map(self.server.add_request, names, paths, ["n" + name for name in names]))

    def _prepare(self, names):
        """
        The storage daemon's exports get a null node each, made beforehand: with one node for all of
        them it walks through every export for each one more, and nobody would have it so. Ours
        makes a RAM volume with each device, which is part of its time.
        """
        if isinstance(self.server, Storaged):
            self.server.call_all([self.server.node_request("null", SIZE, name="n" + name)
                                  for name in names])

    def grow(self, n, presented=True):
        """Up to n living devices."""
        while self.living < n:
            names = [f"d{next(self.names)}" for _ in range(min(BATCH, n - self.living))]
            if presented:
                self._prepare(names)
                requests = self._adds(names)
            else:
                requests = [self.server.add_managed(name) for name in names]
            self.server.call_all(requests)
            self.living += len(names)

    def pairs(self, seconds):
        """Pairs of add and remove of presented devices in a second."""
        names = [f"x{i}" for i in range(BATCH)]
        if not self.prepared:
            self._prepare(names)
            self.prepared = True
        adds = self._adds(names)
        dels = [self.server.del_request(name) for name in names]
        n, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            self.server.call_all(adds)
            self.server.call_all(dels, removes=True)
            n += BATCH
        return n / (time.perf_counter() - begin)

    def bytes_each(self):
        """Memory of the process for each presented device; the kernel's for sockets not counted."""
        self.grow(1)
        before = self.server.rss_bytes()
        self.grow(PRESENTED + 1)
        return (self.server.rss_bytes() - before) / PRESENTED


class AddRemove:
    """Rows at 1, 1,000 and 60,000 living devices, and the memory of a presented one."""

    def __init__(self, config):
        self.config = config
        qsd = "qemu-storage-daemon block-export-add/-del"
        self.at = {n: Row(f"control add+remove presented device, {n} living", "pairs/s",
                          qsd if n <= PRESENTED else None, aim=10 if n <= PRESENTED else None)
                   for n in (1, PRESENTED, 60000)}
        self.memory = Row("memory per idle presented device", "bytes", "qemu-storage-daemon",
                          higher=False, aim=10)

    def rows(self):
        return list(self.at.values()) + ([self.memory] if self.memory else [])

    def keep(self, wanted):
        self.at = {n: row for n, row in self.at.items() if wanted(row.name)}
        self.memory = self.memory if wanted(self.memory.name) else None
        return bool(self.at or self.memory)

    def run(self):
        kinds = [Storaged] if self.config.peers_only else [Tvqd, Storaged]
        for i in range(min(3, self.config.reps)):
            crowds = []
            try:
                for kind in kinds:
                    crowds.append(Crowd(self.config, kind))
                for crowd in crowds if i % 2 else crowds[::-1]:
                    crowd.grow(1)
                for n in (1, PRESENTED):
                    self._at(n, crowds, i)
                if 60000 in self.at and i == 0 and Tvqd in kinds:
                    crowds[0].grow(60000, presented=False)
                    for _ in range(3):
                        self._sample(60000, crowds[0])
            finally:
                for crowd in crowds:
                    crowd.server.stop()

    def _at(self, n, crowds, i):
        for crowd in crowds if i % 2 else crowds[::-1]:
            if n == PRESENTED:
                self._memory(crowd)
                crowd.grow(PRESENTED)
            if n in self.at:
                self._sample(n, crowd)

    def _memory(self, crowd):
        if not self.memory:
            return
        ours = isinstance(crowd.server, Tvqd)
        value = crowd.bytes_each()
        (self.memory.ours if ours else self.memory.peer).append(value)
        say(f"{crowd.server.label}: {value:.0f} bytes for each presented device")

    def _sample(self, n, crowd):
        ours = isinstance(crowd.server, Tvqd)
        value = self.config.watch.sample(lambda: crowd.pairs(self.config.ms / 1000), crowd.server)
        (self.at[n].ours if ours else self.at[n].peer).append(value)
        say(f"{crowd.server.label}: {value:.0f} pairs/s with {n} living")


class Idle:
    """CPU time of tvqd over ten seconds with nobody asking anything."""

    def __init__(self, config):
        self.config = config
        self.devices = 1000 if config.quick else 10000
        self.presented = 100 if config.quick else 1000
        self.row = Row(f"idle CPU over {IDLE_SECONDS} s, {self.devices} managed devices, "
                       f"{self.presented} of them presented", "ms",
                       f"qemu-storage-daemon with {self.presented} exports", higher=False)
        self.row.figure = 10

    def rows(self):
        return [self.row]

    def keep(self, wanted):
        return wanted(self.row.name)

    def run(self):
        crowds = []
        try:
            if not self.config.peers_only:
                crowds.append(Crowd(self.config, Tvqd))
                crowds[0].grow(self.presented)
                crowds[0].grow(self.devices, presented=False)
            crowds.append(Crowd(self.config, Storaged))
            crowds[-1].grow(self.presented)
            self._watch([crowd.server for crowd in crowds])
        finally:
            for crowd in crowds:
                crowd.server.stop()

    def _watch(self, servers):
        time.sleep(1)  # what the creation started in the background ends
        before = [server.cpu_seconds() for server in servers]
        time.sleep(IDLE_SECONDS)
        for server, start in zip(servers, before):
            spent = (server.cpu_seconds() - start) * 1000
            ours = isinstance(server, Tvqd)
            (self.row.ours if ours else self.row.peer).append(spent)
            say(f"{server.label}: {spent:.2f} ms of CPU time in {IDLE_SECONDS} s")


class IdlePorts(Idle):
    """The same with ports of the switch."""

    PORTS = 1000

    def __init__(self, config):
        super().__init__(config)
        self.row = Row(f"idle CPU over {IDLE_SECONDS} s, {self.PORTS} network devices presented",
                       "ms", higher=False)
        self.row.figure = 10

    def run(self):
        if self.config.peers_only:
            return
        server = Tvqd(os.path.join(self.config.folder, "ports"), self.config.tvqd, False, None)
        try:
            server.call_all([server.request("dev add", name=f"n{i}", mgmtdev="mgmt0",
                                            **{"class": "net"},
                                            vhost_user=os.path.join(server.folder, f"n{i}"))
                             for i in range(self.PORTS)])
            self._watch([server])
        finally:
            server.stop()


def groups(config):
    return [AddRemove(config), Idle(config), IdlePorts(config)]
