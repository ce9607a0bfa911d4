# SPDX-License-Identifier: BSD-3-Clause
"""The rows of the virtio-pci bus outside a guest: a tvqd serves the management device over
vfio-user, and libtvq drives it from another process.

Next to it, in the same repetition, the same program over the in-process bus; for reads also
qemu-storage-daemon over vhost-user, with the client that the block rows have. The clients never
sleep. A polling server does not either; a sleeping one sleeps as soon as it has nothing to do, so
that each notification is a message over the socket and a wake-up.

With many requests in flight client and server settle in one of two states and stay there: they work
in turns on batches of nearly all requests, or side by side on a few, which is three times slower
for the cache lines that pass between them. That is so on either bus, and which state it is is
chance; so a sample is the best of three runs.
"""

import json
import os
import subprocess
import sys

from block import CLIENT_CPU, RAM_SIZE, SERVER_CPU, SIZE, run
from report import Row
from servers import Failed, Storaged, Tvqd

KINDS = {"1 command in flight": "commands/1-in-flight",
         "64 commands in flight": "commands/64-in-flight",
         "create+destroy": "create-destroy"}
LIVING = 1000  # devices, during the command rows
TRIES = 3


def start(config, polling):
    """tvqd with one thread, on the server's CPU."""
    folder = os.path.join(config.folder, "served")
    path = os.path.join(folder, "vfio")
    server = Tvqd(folder, config.tvqd, polling, SERVER_CPU, serve=f"vfio-user:{path},ram-pool=on")
    server.bus = "vfio-user:" + path
    return server


def say(text):
    print(f"  bus {text}", file=sys.stderr)


class Commands:
    """What bench_commands measures, over either bus."""

    def __init__(self, config, mode):
        self.config, self.mode = config, mode
        self.cells = {KINDS[what]: Row(f"bus {mode} {what}",
                                       "pairs/s" if "create" in what else "commands/s",
                                       "in-process bus") for what in KINDS}

    def rows(self):
        return list(self.cells.values())

    def keep(self, wanted):
        self.cells = {kind: row for kind, row in self.cells.items() if wanted(row.name)}
        return bool(self.cells)

    def run(self):
        for i in range(min(3, self.config.reps)):
            for ours in (True, False) if i % 2 else (False, True):
                if not (ours and self.config.peers_only):
                    self._repetition(ours)

    def _repetition(self, ours):
        server = start(self.config, self.mode == "polling") if ours else None
        try:
            for kind, row in self.cells.items():
                value = self.config.watch.sample(lambda k=kind: self._measure(k, server), server)
                (row.ours if ours else row.peer).append(value)
                say(f"{self.mode} {kind}, {'ours' if ours else 'in-process'}: {value:.0f}/s")
        finally:
            if server:
                server.stop()

    def _measure(self, kind, server):
        row = f"{kind}/{LIVING}"
        # The volumes that tvqd makes by itself are of that kind.
        where = ["--bus", server.bus] if server else ["--volumes", "ram"]
        argv = ["taskset", "-c", str(CLIENT_CPU), self.config.commands, *where, row]
        done = subprocess.run(argv, capture_output=True, timeout=120, check=False)
        if done.returncode or not done.stdout:
            raise Failed(f"bench_commands, {row}: {done.stderr.decode(errors='replace').strip()}")
        return json.loads(done.stdout)["value"]


class Reads:
    """4 KiB random reads of a null or a RAM volume."""

    def __init__(self, config, volume, mode):
        self.config, self.volume, self.mode = config, volume, mode
        peers = {"in-process": "in-process bus"}
        if volume == "null" and mode == "polling":
            peers["qsd"] = "qemu-storage-daemon, vhost-user"
        self.cells = [(depth, peer, Row(f"bus {mode} {volume} read depth {depth} / {peer}",
                                        "requests/s", name))
                      for depth in (1, 32) for peer, name in peers.items()]

    def rows(self):
        return [row for _, _, row in self.cells]

    def keep(self, wanted):
        self.cells = [cell for cell in self.cells if wanted(cell[2].name)]
        return bool(self.cells)

    def run(self):
        for i in range(self.config.reps):
            self._repetition(i)

    def _repetition(self, i):
        servers = {}
        keys = ["ours"] + sorted({peer for _, peer, _ in self.cells})
        if self.config.peers_only:
            keys.remove("ours")
        try:
            for key in keys:
                if key != "in-process":
                    servers[key] = self._start(key)
            for depth in sorted({depth for depth, _, _ in self.cells}):
                for key in keys[::-1] if i % 2 else keys:
                    self._sample(depth, key, servers.get(key))
        finally:
            for server in servers.values():
                server.stop()

    def _start(self, key):
        if key == "qsd":
            server = Storaged(os.path.join(self.config.folder, "qsd"), self.config.qsd, True,
                              SERVER_CPU)
            server.serve(self.volume, SIZE)
        else:
            server = start(self.config, self.mode == "polling")
            server.call(server.request("volume add", name="v0", **{
                self.volume: RAM_SIZE if self.volume == "ram" else SIZE}))
        server.pause()
        return server

    def _sample(self, depth, key, server):
        if key == "qsd" and not any(cell[:2] == (depth, key) for cell in self.cells):
            return
        argv = self._argv(depth, key, server)
        if server:
            server.resume()
        try:
            result = max((self.config.watch.sample(lambda: run(argv), server)
                          for _ in range(TRIES)), key=lambda r: r["rate"])
        finally:
            if server:
                server.pause()
        for row_depth, peer, row in self.cells:
            if row_depth == depth and key == "ours":
                row.ours.append(result["rate"])
                row.ours_cpu.append(result["server_cpu_ns_per_op"])
            elif row_depth == depth and key == peer:
                row.peer.append(result["rate"])
                row.peer_cpu.append(result["server_cpu_ns_per_op"])
        say(f"{self.mode} {self.volume} read depth {depth}, {key}: {result['rate']:.0f}/s")

    def _argv(self, depth, key, server):
        c = self.config
        common = ["--depth", str(depth), "--ms", str(c.ms), "--cpu", str(CLIENT_CPU)]
        if key == "qsd":
            return [c.lean, *common, server.socket]
        argv = [c.reads, *common] + (["--fill", "yes"] if self.volume == "ram" else [])
        if server:
            return argv + ["--bus", server.bus, "--server", str(server.pid)]
        size = RAM_SIZE if self.volume == "ram" else SIZE
        return argv + ["--volume", self.volume, "--mib", str(size >> 20), "--worker-cpu",
                       str(SERVER_CPU)] + (["--sleep", "yes"] if self.mode == "sleeping" else [])


def groups(config):
    return [Commands(config, mode) for mode in ("polling", "sleeping")] + [
        Reads(config, volume, mode) for volume in ("null", "ram")
        for mode in ("polling", "sleeping")]
