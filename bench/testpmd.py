# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-testpmd as a process: as the client of either server (virtio_user), and as the peer (its
vhost driver). Memory comes from huge pages, which are taken for the time of the rows."""

import os
import re
import select
import shutil
import subprocess
import time

from servers import Failed, cpu_seconds_of

PAGES = 320  # of 2 MiB: 256 MiB for each of two processes, and what they waste
MEMORY = 256
NR = "/proc/sys/vm/nr_hugepages"
QUEUE = 256


class HugePages:
    """with HugePages(): there are enough free ones; afterwards as many as before."""

    def __enter__(self):
        with open(NR, encoding="ascii") as f:
            self.before = int(f.read())
        free = self._free()
        if free < PAGES:
            self._set(self.before + PAGES - free)
        if self._free() < PAGES:
            got = self._free()
            self._set(self.before)
            raise Failed(f"{PAGES} huge pages of 2 MiB are needed, the kernel gives {got}")
        return self

    def __exit__(self, *_):
        self._set(self.before)

    @staticmethod
    def _free():
        with open("/proc/meminfo", encoding="ascii") as f:
            return int(re.search(r"HugePages_Free:\s+(\d+)", f.read()).group(1))

    @staticmethod
    def _set(n):
        try:
            with open(NR, "w", encoding="ascii") as f:
                f.write(str(n))
        except PermissionError:
            raise Failed(f"{NR} can be written by root only: the testpmd rows need huge pages"
                         ) from None


class Testpmd:
    """Its forwarding thread is on one CPU, its command line on the other."""

    label = "dpdk-testpmd"

    def __init__(self, folder, cpu, vdevs, mode, eth_peers=()):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.log = b""
        binary = shutil.which("dpdk-testpmd")
        if not binary:
            raise Failed("dpdk-testpmd is missing: scripts/deps.sh bench installs it")
        # A line of output is to come when it is said, not when a buffer is full.
        argv = ["stdbuf", "-oL", binary, "--lcores", f"0@{1 - cpu},1@{cpu}", "--no-pci", "--in-memory",
                "-m", str(MEMORY), "--single-file-segments",
                "--file-prefix", f"tvq{os.getpid()}-{os.path.basename(folder)}"]
        for vdev in vdevs:
            argv += ["--vdev", vdev]
        argv += ["--", "-i", f"--forward-mode={mode}", "--nb-cores=1", "--total-num-mbufs=16384",
                 f"--txd={QUEUE}", f"--rxd={QUEUE}"]
        argv += [f"--eth-peer={i},{mac}" for i, mac in enumerate(eth_peers)]
        # pylint: disable=consider-using-with # stop() ends it
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        try:
            self._until("testpmd> ", 30)
        except Failed:
            self.stop()
            raise

    def _until(self, words, seconds=10):
        """What it says until these words and its prompt have come. It prints a prompt for events
        too, so that a prompt alone says little."""
        text, end = b"", time.monotonic() + seconds
        while words.encode() not in text or not text.endswith(b"testpmd> "):
            data = self._read(max(0, end - time.monotonic()))
            if not data:
                raise Failed("dpdk-testpmd: " + " | ".join(
                    (self.log + text).decode(errors="replace").strip().splitlines()[-5:]))
            text += data
        self.log = (self.log + text)[-4000:]
        return text.decode(errors="replace")

    def _read(self, seconds):
        ready = select.select([self.process.stdout], [], [], seconds)[0]
        return os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""

    def command(self, text, words):
        """Its output; words are in it when it is over."""
        while self._read(0):
            pass
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()
        return self._until(words)

    def start(self, bursts=0):
        self.command(f"start tx_first {bursts}" if bursts else "start", "nb forwarding ports")

    def packets(self, seconds, direction):
        """A second, on its first port; direction: "RX" or "TX"."""
        first, began = self._count(direction), time.monotonic()
        time.sleep(seconds)
        return (self._count(direction) - first) / (time.monotonic() - began)

    def _count(self, direction):
        text = self.command("show port stats 0", "Tx-pps")
        return int(re.search(rf"{direction}-packets:\s+(\d+)", text).group(1))

    def cpu_seconds(self):
        return cpu_seconds_of(self.process.pid)

    def stop(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.write(b"stop\nquit\n")
                self.process.stdin.close()
            except OSError:
                pass
            # Its pipe must not fill up while it says good-bye.
            self.process.stdout.read()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def vhost(i, socket):
    return f"net_vhost{i},iface={socket},queues=1"


def virtio_user(i, socket, mac, packed):
    return (f"net_virtio_user{i},path={socket},queues=1,queue_size={QUEUE},mac={mac},"
            f"packed_vq={int(packed)}")
