# SPDX-License-Identifier: BSD-3-Clause
"""The rows that a guest measures, by its own monotonic clock: how fast block devices come, and
4 KiB random reads. Ours are made by `vdpa dev add` on a management device that tvqd serves; the
peers are QEMU's own virtio-blk-pci, and vhost-user-blk on qemu-storage-daemon, in the same guest.

The guest is emulated (TCG) and has one CPU. All volumes are null volumes that answer zeroes.

A peer's device comes by device_add over QMP, on the guest's request, which takes a fraction of a
millisecond; what such a request takes with nothing to do is measured and taken off. Alone it comes
into a PCI Express root port, as management tools do it. In a row there are not enough buses for
that (256 in all), so that 32 of them share a PCI bridge; all device_add are sent at once, while
ours is a loop of the shell's. The guest's interrupt vectors, about 200 for a CPU, bound how many
fit: each virtio-blk-pci takes two, which makes 96 in a guest that has nothing else; ours share
the 64 of the management function, and leave room for FIT of QEMU's.
"""

import os
import subprocess
import sys

from guest import Guest
from report import Row
from servers import Failed, Storaged, Tvqd

SIZE = 1 << 30
MANY = 256  # of ours
FIT = 48  # of QEMU's, and as many of ours next to them
DEPTHS = (1, 32)
PORTS, BRIDGES = 1, 2
FUNCTION_ID = "0x10f2"  # which the kernel's own virtio_pci leaves alone
# Two functions are served, by tvqd as it suits a guest on two CPUs (one thread, which does not
# poll, and interrupts through a page of the function: no thread hands anything on), and by tvqd
# with its defaults. Rows but those of the second are the first's.
WAYS = {"ours": (",msi-page=on", ("--workers", "0", "--poll-us", "0")), "defaults": ("", ())}
QEMU = "virtio-blk-pci"
QSD = "vhost-user-blk-pci, qemu-storage-daemon"


def say(text):
    print(f"  guest {text}", file=sys.stderr)


def mgmtdev(way):
    return f"auxiliary/tvq.blk.{list(WAYS).index(way)}"


def disk_arguments(socket):
    """The peers that are read from, QEMU's and the storage daemon's."""
    return ["-object", "iothread,id=io0", "-blockdev",
            f"driver=null-co,node-name=null0,size={SIZE},read-zeroes=on",
            "-device", "virtio-blk-pci,drive=null0,iothread=io0,serial=qemu",
            "-chardev", f"socket,id=vu0,path={socket}",
            "-device", "vhost-user-blk-pci,chardev=vu0"]


def slot_arguments():
    """Places for devices that are plugged in: root ports, and bridges of 32 slots each."""
    out = []
    for i in range(PORTS):
        out += ["-device", f"pcie-root-port,id=port{i},chassis={i + 1}"]
    out += ["-device", "i82801b11-bridge,id=dmi,bus=pcie.0"]
    for i in range(BRIDGES):
        out += ["-device", f"pci-bridge,id=bridge{i},bus=dmi,addr={i + 1:#x},chassis_nr={i + 100},"
                "shpc=off,io-reserve=0,mem-reserve=1M,pref32-reserve=1M"]
    return out


class InGuest:
    """All rows of one boot."""

    def __init__(self, config):
        self.config = config
        self.alone = Row("guest add one device", "ms", "QEMU device_add virtio-blk-pci",
                         higher=False, aim=1)
        self.fit = Row(f"guest add {FIT} devices in a row", "ms each",
                       "QEMU device_add, pipelined", higher=False, aim=1)
        self.many = Row(f"guest add {MANY} devices in a row", "ms each",
                        "none: 96 virtio-blk-pci use up a CPU's vectors", higher=False)
        self.reads = {(depth, way, peer): Row(f"guest read{words} depth {depth} / {peer}",
                                              "requests/s", name, aim=0.9)
                      for way, words in (("ours", ""), ("defaults", ", tvqd's defaults,"))
                      for depth in DEPTHS for peer, name in (("qemu", QEMU), ("qsd", QSD))}
        self.wanted = None
        self.guest = self.storaged = None
        self.served = {}  # by WAYS
        self.names = 0

    def rows(self):
        rows = [self.alone, self.fit, self.many, *self.reads.values()]
        return [row for row in rows if self.wanted is None or self.wanted(row.name)]

    def keep(self, wanted):
        self.wanted = wanted
        return bool(self.rows())

    def run(self):
        try:
            self._boot()
            if any(self.wanted(row.name) for row in self.reads.values()):
                self._reads()
            if self.wanted(self.alone.name):
                self._alone()
            if self.wanted(self.fit.name):
                self._in_a_row(self.fit, FIT, FIT)
            if self.wanted(self.many.name):
                self._in_a_row(self.many, MANY, 0)
        finally:
            for part in self._parts():
                part.stop()

    def _parts(self):
        return [part for part in (self.guest, self.storaged, *self.served.values()) if part]

    def cpu_seconds(self):
        """Of all that is not somebody else's."""
        return sum(part.cpu_seconds() for part in self._parts())

    def _boot(self):
        c = self.config
        self.storaged = Storaged(os.path.join(c.folder, "qsd"), c.qsd, False, None)
        self.storaged.serve("null,zero", SIZE)
        options = ["--with", "fio", "--mem", "1024"]
        if not c.peers_only:
            options += self._serve()
        self.guest = Guest(c, options, disk_arguments(self.storaged.socket) + slot_arguments())
        if not c.peers_only:
            self._load()

    def _serve(self):
        """The functions, and their driver for the guest."""
        c = self.config
        module = subprocess.run([os.path.join(c.scripts, "guest-module.sh"), "--into",
                                 os.path.join(c.build, "module")], text=True,
                                stdout=subprocess.PIPE, check=True).stdout.strip()
        options = ["--file", module]
        for way, (words, more) in WAYS.items():
            folder = os.path.join(c.folder, "served-" + way)
            path = os.path.join(folder, "vfio")
            self.served[way] = Tvqd(folder, c.tvqd, False, None,
                                    serve=f"vfio-user:{path},id={FUNCTION_ID}{words}", more=more)
            options += ["--vfio-user", path]
        return options

    def _load(self):
        self.guest.run("modprobe -a vdpa virtio_vdpa && insmod /tvq_vdpa.ko")
        shown = self.guest.run("vdpa mgmtdev show")
        for way in WAYS:
            if not any(mgmtdev(way) in line for line in shown):
                raise Failed(f"the guest has no {mgmtdev(way)}: {' '.join(shown)}")

    # Devices of ours

    def _volumes(self, n, way="ours"):
        """n new null volumes; their names. A device's name is its volume's (TQ-143)."""
        names = [f"n{self.names + i}" for i in range(n)]
        self.names += n
        tvqd = self.served[way]
        tvqd.call_all([tvqd.request("volume add", name=name, **{"null,zero": SIZE})
                       for name in names])
        return names

    def _add_ours(self, names, way="ours"):
        """Seconds."""
        add = f"vdpa dev add mgmtdev {mgmtdev(way)} name"
        if len(names) == 1:
            return self.guest.time(1, f"{add} {names[0]}")
        return self.guest.time(len(names), f"for d in {' '.join(names)}; do {add} $d || exit; done")

    def _del_ours(self, names):
        self.guest.run(f"for d in {' '.join(names)}; do vdpa dev del $d || exit; done")

    # Devices of QEMU's

    def _nodes(self, n):
        names = [f"q{self.names + i}" for i in range(n)]
        self.names += n
        for name in names:
            self.guest.command("blockdev-add", driver="null-co", size=SIZE,
                               **{"node-name": name, "read-zeroes": True})
        return names

    def _add_peers(self, names, places):
        """Seconds, without those that the request takes."""
        def action():
            for name, place in zip(names, places):
                self.guest.send("device_add", driver="virtio-blk-pci", id="dev" + name, drive=name,
                                **place)
            for _ in names:
                self.guest.answer()
        way = min(self.guest.ping() for _ in range(10))
        return self.guest.ask(len(names), action) - way

    def _del_peers(self, names):
        self.guest.remove(["dev" + name for name in names])

    # Rows

    def _alone(self):
        """The first of each warms up: code that was never emulated takes longer."""
        node = self._nodes(1)
        name = [] if self.config.peers_only else self._volumes(1)
        for i in range(2 * self.config.reps + 2):
            self._sample(self.alone, name, node, [{"bus": "port0"}], warming=not i)

    def _in_a_row(self, row, n, n_peer):
        names, nodes = [] if self.config.peers_only else self._volumes(n), self._nodes(n_peer)
        places = [{"bus": f"bridge{b}", "addr": hex(slot), "disable-legacy": "on"}
                  for b in range(BRIDGES) for slot in range(32)]
        for _ in range(min(3, self.config.reps)):
            self._sample(row, names, nodes, places)

    def _sample(self, row, names, nodes, places, warming=False):
        """Milliseconds for each device of ours, and for each of QEMU's, where there are any."""
        for new, kind in ((names, "ours"), (nodes, "peer")):
            if not new:
                continue
            value = self._watched(lambda n=new, k=kind: self._add_and_remove(n, k, places))
            say(f"{row.name[6:]}, {kind}: {value:.2f} ms each{' (warms up)' if warming else ''}")
            if not warming:
                (row.ours if kind == "ours" else row.peer).append(value)

    def _add_and_remove(self, names, kind, places):
        if kind == "ours":
            seconds = self._add_ours(names)
            self._del_ours(names)
        else:
            seconds = self._add_peers(names, places)
            self._del_peers(names)
        return seconds * 1000 / len(names)

    def _watched(self, measure):
        return self.config.watch.sample(measure, self)

    def _reads(self):
        disks, names = {}, []
        for disk in self._disks():
            serial = self.guest.run(f"cat /sys/block/{disk}/serial; echo")[0]
            disks["qemu" if serial == "qemu" else "qsd"] = disk
        for way in self.served:
            before, name = self._disks(), self._volumes(1, way)
            self._add_ours(name, way)
            disks[way] = (self._disks() - before).pop()
            names += name
        for i in range(self.config.reps):
            for depth in sorted({key[0] for key, row in self.reads.items()
                                 if self.wanted(row.name)}):
                for key in sorted(disks, reverse=i % 2):
                    self._read(key, disks[key], depth)
        if names:
            self._del_ours(names)

    def _read(self, key, disk, depth):
        server = self.storaged if key == "qsd" else self.served.get(key)
        rate, cpu = self._watched(lambda: self._measure(disk, depth, server))
        say(f"read depth {depth}, {key}: {rate}/s")
        for (row_depth, way, peer), row in self.reads.items():
            if row_depth != depth or key not in (way, peer):
                continue
            (row.ours if key == way else row.peer).append(rate)
            if server:
                (row.ours_cpu if key == way else row.peer_cpu).append(cpu)

    def _measure(self, disk, depth, server):
        """Requests a second, and the CPU time of the server for each, ns."""
        requests, cpu = self._requests(disk), server.cpu_seconds() if server else 0
        rate = self._fio(disk, depth)
        requests = self._requests(disk) - requests
        return rate, (server.cpu_seconds() - cpu) * 1e9 / requests if server else None

    def _requests(self, disk):
        """That it has answered: reads, as the first number of the kernel's statistics."""
        return int(self.guest.run(f"cat /sys/block/{disk}/stat")[0].split()[0])

    def _disks(self):
        return set(self.guest.run("cd /sys/block && ls -1d vd*"))

    def _fio(self, disk, depth):
        line = self.guest.run(
            f"fio --name=x --filename=/dev/{disk} --ioengine=io_uring --direct=1 --rw=randread "
            f"--bs=4k --iodepth={depth} --time_based --runtime={3 * self.config.ms}ms "
            "--ramp_time=300ms --randrepeat=0 --norandommap --thread --output-format=terse "
            "--terse-version=3")[-1]
        fields = line.split(";")
        if len(fields) < 8 or fields[4] != "0":
            raise Failed(f"fio in the guest: {line}")
        return int(fields[7])


def groups(config):
    return [InGuest(config)]
