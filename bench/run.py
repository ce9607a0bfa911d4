#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the benchmarks: ours and each peer's side by side.

usage: bench/run.py [--quick] [--only PATTERN]... [--list] [options]

Prints a table and writes BUILD/bench.json. The machine should have nothing else to do. Needs what
`scripts/deps.sh bench guest` installs; the rows of libblkio and those of a guest (--only guest)
need the guest root, which scripts/guest-root.sh makes.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # the source tree stays as it is

import block
import bus
import control
import guest_rows
import packets
import streams
from quiet import Watch
from report import Row, print_table, write_json
from servers import Failed

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)


class Config:
    """Where the programs are, and how long to measure."""

    def __init__(self, args, folder):
        self.folder = folder
        self.quick, self.peers_only = args.quick, args.peers_only
        self.reps = args.reps or (1 if args.quick else 5)
        self.ms = args.ms or (300 if args.quick else 600)
        self.build = os.path.abspath(args.build)
        self.tvqd = os.path.join(self.build, "bin", "tvqd")
        self.lean = os.path.join(self.build, "bench", "lean_client")
        self.memcpy = os.path.join(self.build, "bench", "memcpy_rate")
        self.commands = os.path.join(self.build, "bench", "bench_commands")
        self.reads = os.path.join(self.build, "bench", "bench_reads")
        self.meter = os.path.join(self.build, "bench", "guest_meter")
        self.qsd = need("qemu-storage-daemon")
        self.fio = need("fio")
        self.scripts = os.path.join(TOP, "scripts")
        self.guest_exec = os.path.join(self.scripts, "guest-exec.sh")
        self._file = args.file
        self._made = None
        self._blkio = None
        self.watch = Watch()

    def file(self):
        """The file that the file rows use; made once, with no hole in it."""
        if self._file:
            return self._file
        if not self._made:
            self._made = tempfile.NamedTemporaryFile(dir=self.build, prefix="bench-", suffix=".img")
            piece = os.urandom(1 << 20)
            for _ in range(block.SIZE // len(piece)):
                self._made.write(piece)
            self._made.flush()
            os.fsync(self._made.fileno())
        return self._made.name

    def blkio_client(self):
        """libblkio's client, built against the guest root."""
        if not self._blkio:
            out = os.path.join(self.folder, "blkio_client")
            root = subprocess.run([os.path.join(TOP, "scripts", "guest-root.sh")], text=True,
                                  stdout=subprocess.PIPE, check=True).stdout.strip()
            subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra",
                            f"--sysroot={root}", f"-L{root}/usr/lib/x86_64-linux-gnu", "-o", out,
                            os.path.join(HERE, "blkio_client.c"), "-lblkio"], check=True)
            self._blkio = out
        return self._blkio


def need(name):
    path = shutil.which(name)
    if not path:
        sys.exit(f"bench: {name} is missing: scripts/deps.sh bench installs it")
    return path


class Program:
    """Rows that one of our programs measures by itself: a JSON object a line."""

    def __init__(self, config, name, stems, aims):
        self.path = os.path.join(config.build, "bench", name)
        self.name, self.config = name, config
        self.stems = stems  # its rows' names begin so
        self.aims = aims  # figures to reach, by name
        self.found, self.wanted = [], None

    def rows(self):
        return self.found or [Row(f"{stem} ...", "") for stem in self.stems]

    def keep(self, wanted):
        self.wanted = wanted
        self.stems = [stem for stem in self.stems if wanted(stem)]
        return bool(self.stems)

    def run(self):
        if self.config.peers_only:
            return
        print(f"  {self.name}", file=sys.stderr)
        done = subprocess.run([self.path], capture_output=True, timeout=600, check=False)
        if done.returncode:
            raise Failed(f"{self.name}: {done.stderr.decode(errors='replace').strip()}")
        for line in done.stdout.splitlines():
            out = json.loads(line)
            if not any(out["name"].startswith(stem) for stem in self.stems):
                continue
            name = out["name"]
            if any(row.name == name for row in self.found):
                name += f", {out['unit']}"
            row = Row(name, out["unit"], higher=out.get("higher_is_better", False))
            row.ours.append(out["value"])
            row.figure = self.aims.get(out["name"])
            self.found.append(row)


def all_groups(config):
    formats = ("split", "packed")
    ring = [f"ring {f}{extra} {what}" for f in formats
            for extra in ("", ", event index", ", indirect", ", in-flight area")
            for what in ("take+return", "driver add+get")]
    commands = [f"{what}/{n}" for n in (1, 1000, 60000) for what in
                ("commands/1-in-flight", "commands/64-in-flight", "create-destroy")]
    aims = {f"create-destroy/{n}": 100000 for n in (1, 1000, 60000)}
    aims["memory/idle-device"] = 4096
    return [Program(config, "bench_ring", ring, {}),
            Program(config, "bench_commands", commands + ["memory/"], aims),
            *control.groups(config), *block.groups(config), *bus.groups(config),
            *guest_rows.groups(config), *packets.groups(config),
            *streams.groups(config)]


def quick(name):
    """The rows of --quick."""
    if name.startswith("block"):
        return bool(re.search(r"^block (null|null inflight|ram|file direct) (polling|event) "
                              r"read depth (1|32)\b", name))
    if name.startswith("bus"):
        return "polling" in name
    if name.startswith("guest"):
        return "in a row" not in name
    return "60000" not in name and not name.startswith("memory/")


def choose(groups, args):
    patterns = [re.compile(p) for p in args.only]

    def wanted(name):
        if patterns:
            return any(p.search(name) for p in patterns)
        return not args.quick or quick(name)

    return [group for group in groups if group.keep(wanted)]


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--quick", action="store_true", help="a few rows, short: shows that all is well")
    p.add_argument("--only", action="append", default=[], metavar="PATTERN",
                   help="only rows whose name has this regular expression in it")
    p.add_argument("--list", action="store_true", help="print the rows' names and end")
    p.add_argument("--build", default=os.path.join(TOP, "build"), help="the build directory")
    p.add_argument("--out", help="the JSON file (BUILD/bench.json)")
    p.add_argument("--reps", type=int, help="repetitions of which the median counts (5)")
    p.add_argument("--ms", type=int, help="length of one measurement (600)")
    p.add_argument("--file", help="use this file for the file rows; its content is lost. A new "
                   "one in the build directory otherwise")
    p.add_argument("--peers-only", action="store_true", help="leave ours out")
    return p.parse_args()


def main():
    args = arguments()
    # Sockets live in a tmpfs, as those in /run do: a disk's journal is not what is measured.
    with tempfile.TemporaryDirectory(prefix="tvq-bench-", dir="/dev/shm") as folder:
        config = Config(args, folder)
        groups = choose(all_groups(config), args)
        if args.list:
            print("\n".join(row.name for group in groups for row in group.rows()))
            return 0
        if not os.path.exists(config.lean):
            sys.exit(f"bench: {config.lean} is missing: make builds it")
        if not groups:
            sys.exit("bench: no row has such a name: --list shows them")
        if os.getloadavg()[0] > 0.5:
            print("bench: this machine is busy; the figures will say less", file=sys.stderr)
        failed = []
        for group in groups:
            try:
                group.run()
            except (Failed, OSError, subprocess.SubprocessError) as e:
                failed.append(str(e))
                print(f"bench: {e}", file=sys.stderr)
        rows = [row for group in groups for row in group.rows()]
        print_table(rows)
        print(config.watch.words())
        write_json(rows, args.out or os.path.join(config.build, "bench.json"))
    for text in failed:
        print(f"bench: FAILED: {text}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
