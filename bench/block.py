# SPDX-License-Identifier: BSD-3-Clause
"""The block rows: 4 KiB random requests over vhost-user, ours and the peers in turns.

A group is one kind of volume, one way of waiting (polling, event-driven) and one client. Its
servers are started anew for each repetition, since a process keeps the state that it happens to
start in, and only the one that is being measured runs. Within a repetition each depth and direction
is measured on every contestant before the next one; every other repetition goes through them in the
opposite order.
"""

import json
import os
import subprocess
import sys

from report import Row
from servers import Failed, Storaged, Tvqd

DEPTHS = (1, 32, 128)
DIRECTIONS = ("read", "write")
SIZE = 1 << 30  # of null volumes and files
RAM_SIZE = 256 << 20
CLIENT_CPU, SERVER_CPU = 0, 1
FAILURES = 4  # of one group, after which it is not repeated any more

# Ratios that the project aims at, by (volume, mode, client, peer): for some depths.
AIMS = {
    ("null", "polling", "lean", "qemu-storage-daemon"): {1: 5.0, 32: 4.0},
    ("null", "polling", "libblkio", "qemu-storage-daemon"): {32: 1.5},
    ("ram", "polling", "lean", "memcpy of one core"): {32: 0.75},
    ("file direct", "polling", "lean", "fio io_uring"): {1: 0.9, 32: 0.95},
}


class Contestant:
    """Something that can be measured at a depth and a direction."""

    def __init__(self, key, server=None, inflight=False):
        self.key, self.server, self.inflight = key, server, inflight


class Cell:
    """A depth and a direction of a group: which samples go into which rows."""

    def __init__(self, depth, direction):
        self.depth, self.direction = depth, direction
        self.rows = []  # (row, contestant of ours, of the peer)


class Group:
    def __init__(self, config, volume, mode, client="lean"):
        self.config, self.volume, self.mode, self.client = config, volume, mode, client
        self.polling = mode == "polling"
        self.failures = []
        self.cells = [self._cell(depth, direction) for direction in DIRECTIONS
                      for depth in DEPTHS]

    def _cell(self, depth, direction):
        cell = Cell(depth, direction)
        peers = {"null": ["qsd"], "null,zero": ["qsd"], "ram": ["memcpy"],
                 "file direct": ["qsd", "fio"], "file buffered": ["qsd", "fio"]}[self.volume]
        for peer in peers:
            self._row(cell, "ours", peer, "")
            if self.volume.startswith("null") and self.client == "lean":
                self._row(cell, "ours inflight", peer, " inflight")
        return cell

    def _row(self, cell, ours, peer, extra):
        name = {"qsd": "qemu-storage-daemon", "fio": "fio io_uring",
                "memcpy": "memcpy of one core"}[peer]
        client = "" if self.client == "lean" else f" {self.client}"
        aims = AIMS.get((self.volume, self.mode, self.client, name), {})
        label = (f"block {self.volume}{extra}{client} {self.mode} {cell.direction} "
                 f"depth {cell.depth}")
        if self.volume.startswith("file"):
            label += f" / {peer}"
        if extra and peer == "qsd":
            name += " (has no in-flight area)"
        row = Row(label, "requests/s", name, aim=aims.get(cell.depth))
        cell.rows.append((row, ours, peer))

    def rows(self):
        return [row for cell in self.cells for row, _, _ in cell.rows]

    def keep(self, wanted):
        """Drops the rows that nobody asked for."""
        for cell in self.cells:
            cell.rows = [entry for entry in cell.rows if wanted(entry[0].name)]
        self.cells = [cell for cell in self.cells if cell.rows]
        return bool(self.cells)

    # Measuring

    def run(self):
        keys = {key for cell in self.cells for _, a, b in cell.rows for key in (a, b)}
        if self.config.peers_only:
            keys -= {"ours", "ours inflight"}
        for i in range(self.config.reps):
            self._repetition(i, keys)
            if len(self.failures) > FAILURES:
                break
        if self.failures:
            raise Failed("; ".join(sorted(set(self.failures))))

    def _repetition(self, i, keys):
        servers = {}
        try:
            for kind, label in ((Tvqd, "ours"), (Storaged, "qsd")):
                if keys & {label, f"{label} inflight"}:
                    servers[label] = self._start(kind, label)
            order = [k for k in ("ours", "qsd", "ours inflight", "fio", "memcpy") if k in keys]
            cells = list(self.cells)
            if i % 2:
                order.reverse()
                cells.reverse()
            for cell in cells:
                for key in order:
                    if any(key in entry[1:] for entry in cell.rows):
                        self._try(cell, key, servers.get(key.split()[0]))
        finally:
            for server in servers.values():
                server.stop()

    def _start(self, kind, label):
        binary = self.config.tvqd if kind is Tvqd else self.config.qsd
        server = kind(os.path.join(self.config.folder, label), binary, self.polling, SERVER_CPU)
        try:
            size = RAM_SIZE if self.volume == "ram" else SIZE
            path = self.config.file() if self.volume.startswith("file") else None
            if self.volume == "file buffered":
                read_through(path)
            server.serve(self.volume, size, path)
            if self.volume == "ram":
                self._fill(server)
        except BaseException:
            server.stop()
            raise
        server.pause()
        return server

    def _fill(self, server):
        """Each page of a RAM volume really there: the first round of a check writes all of it."""
        run([self.config.lean, "--verify", "--ms", "1", server.socket])

    def _try(self, cell, key, server):
        """A sample that fails is one sample less, and makes the whole run fail in the end."""
        try:
            self._sample(cell, key, server)
        except Failed as e:
            print(f"bench: {e}", file=sys.stderr)
            self.failures.append(str(e))

    def _sample(self, cell, key, server):
        argv = self._argv(cell, key, server)
        # The kernel's own threads work for a file: that is nobody else.
        watched = not self.volume.startswith("file")
        if server:
            server.resume()
        try:
            result = self.config.watch.sample(lambda: run(argv), server) if watched else run(argv)
        except Failed as e:
            raise Failed(f"{cell.rows[0][0].name}, {key}: {e}" +
                         (f"; {server.label}: {server.last_words()}" if server else "")) from None
        finally:
            if server:
                server.pause()
        if key == "fio":
            result = fio_result(result)
        for row, ours, peer in cell.rows:
            if key == ours:
                row.ours.append(result["rate"])
                row.ours_cpu.append(result["server_cpu_ns_per_op"])
            elif key == peer:
                row.peer.append(result["rate"])
                row.peer_cpu.append(result["server_cpu_ns_per_op"])
        print(f"  {self.volume} {self.client} {self.mode} {cell.direction} depth {cell.depth}, "
              f"{key}: {result['rate']:.0f}/s, server {result['server_cpu_ns_per_op']:.0f} ns each",
              file=sys.stderr)

    def _argv(self, cell, key, server):
        c = self.config
        if key == "memcpy":
            return [c.memcpy, str(RAM_SIZE), str(cell.depth), cell.direction, str(c.ms),
                    str(SERVER_CPU)]
        if key == "fio":
            return fio_argv(c, self.volume, cell)
        if self.client == "libblkio":
            return [c.guest_exec, c.blkio_client(), server.socket, str(server.pid),
                    str(cell.depth), cell.direction, "poll" if self.polling else "event",
                    str(c.ms), str(CLIENT_CPU)]
        argv = [c.lean, "--depth", str(cell.depth), "--rw", cell.direction, "--ms", str(c.ms),
                "--cpu", str(CLIENT_CPU)]
        if not self.polling:
            argv.append("--event")
        if key.endswith("inflight"):
            argv.append("--inflight")
        return argv + [server.socket]


def read_through(path):
    """All of the file in the page cache."""
    with open(path, "rb", buffering=0) as f:
        while f.read(1 << 20):
            pass


def fio_argv(config, volume, cell):
    return [config.fio, "--name=x", "--ioengine=io_uring", f"--rw=rand{cell.direction}", "--bs=4k",
            f"--iodepth={cell.depth}", f"--direct={int(volume == 'file direct')}",
            f"--filename={config.file()}", f"--size={SIZE}", "--time_based",
            f"--runtime={config.ms}ms", "--ramp_time=100ms", "--thread",
            f"--cpus_allowed={SERVER_CPU}", "--randrepeat=0", "--norandommap",
            "--invalidate=0", "--output-format=json"]


def fio_result(out):
    job = out["jobs"][0]
    side = max(job["read"], job["write"], key=lambda s: s["total_ios"])
    if job["error"] or not side["iops"]:
        raise Failed("fio did no I/O")
    cpu = (job["usr_cpu"] + job["sys_cpu"]) / 100
    return {"rate": side["iops"], "server_cpu_ns_per_op": cpu / side["iops"] * 1e9}


def run(argv):
    """Runs a client; its JSON."""
    try:
        done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"{os.path.basename(argv[0])} did not end in 60 s") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Failed(f"{os.path.basename(argv[0])}: {' '.join(words) or done.returncode}")
    return json.loads(done.stdout)


def groups(config):
    out = []
    for volume in ("null", "null,zero", "ram", "file direct", "file buffered"):
        for mode in ("polling", "event"):
            out.append(Group(config, volume, mode))
    for mode in ("polling", "event"):
        out.append(Group(config, "null", mode, "libblkio"))
    return out
