# SPDX-License-Identifier: BSD-3-Clause
"""A guest that measures: QEMU by scripts/guest-run.sh, its QMP socket, and guest_meter in it."""

import json
import os
import shutil
import socket
import subprocess

from servers import Failed, Lines, cpu_seconds_of

JOB = "exec /guest_meter /dev/ttyS1\n"
LIMIT = 1800  # seconds that a guest may run


class Guest:
    """Booted, with a meter that answers. Lines go over its second serial port."""

    def __init__(self, config, options, arguments, name="guest"):
        """options: guest-run.sh's, arguments: QEMU's."""
        self.folder = os.path.join(config.folder, name)
        os.makedirs(self.folder)
        self.config, self.process, self.port, self.qmp = config, None, None, None
        self.rest, self.pid = b"", 0
        try:
            self._start(options, arguments)
        except BaseException:
            self.stop()
            raise

    def _start(self, options, arguments):
        job = self._path("job")
        with open(job, "w", encoding="ascii") as f:
            f.write(JOB)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self._path("port"))
        listener.listen(1)
        listener.settimeout(1)
        argv = [os.path.join(self.config.scripts, "guest-run.sh"), "--qemu", "11",
                "--script", job, "--file", self.config.meter, "--timeout", str(LIMIT),
                "--qmp", self._path("qmp"), "--pidfile", self._path("pid"), *options, "--",
                "-chardev", f"socket,id=port,path={self._path('port')}",
                "-serial", "chardev:port", *arguments]
        with open(self._path("log"), "wb") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        # The first time, the guest's root and kernel are made before, which takes minutes.
        while not self.port:
            try:
                self.port = listener.accept()[0]
            except TimeoutError:
                if self.process.poll() is not None:
                    raise Failed(f"the guest did not start: {self.last_words()}") from None
        listener.close()
        self.port.settimeout(200)
        self.qmp = Lines(self._path("qmp"))
        self.qmp.receive()  # the greeting
        self.command("qmp_capabilities")
        self._number()  # the meter is there
        with open(self._path("pid"), encoding="ascii") as f:
            self.pid = int(f.read())

    def _path(self, name):
        return os.path.join(self.folder, name)

    def last_words(self):
        with open(self._path("log"), encoding="utf-8", errors="replace") as f:
            return " | ".join(f.read().strip().splitlines()[-5:])

    def cpu_seconds(self):
        return cpu_seconds_of(self.pid)

    def stop(self):
        if self.port:
            self.port.close()
        if self.qmp:
            self.qmp.close()
        if self.process:
            self.process.terminate()
            self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    # QMP

    def send(self, cmd, **args):
        self.qmp.send(json.dumps({"execute": cmd, "arguments": args}).encode() + b"\n")

    def answer(self):
        """Of the oldest request that has none yet."""
        while True:
            line = json.loads(self.qmp.receive())
            if "error" in line:
                raise Failed(f"QEMU: {line['error']['desc']}")
            if "return" in line:
                return line["return"]

    def command(self, cmd, **args):
        self.send(cmd, **args)
        return self.answer()

    def remove(self, ids):
        """Unplugs devices; returns when the guest has let go of all."""
        for name in ids:
            self.send("device_del", id=name)
        left = set(ids)
        while left:
            line = json.loads(self.qmp.receive())
            if "error" in line:
                raise Failed(f"QEMU: {line['error']['desc']}")
            if line.get("event") == "DEVICE_DELETED":
                left.discard(line["data"].get("device"))

    # The meter

    def _line(self):
        while b"\n" not in self.rest:
            try:
                data = self.port.recv(1 << 16)
            except TimeoutError:
                data = b""
            if not data:
                raise Failed(f"the guest says nothing: {self.last_words()}")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")

    def _number(self):
        while True:
            line = self._line()
            if line.startswith("="):
                return int(line[1:])

    def _tell(self, text):
        self.port.sendall(text.encode() + b"\n")

    def run(self, command):
        """A shell command's output, as lines."""
        self._tell("run " + command)
        lines = []
        while not (line := self._line()).startswith("="):
            lines.append(line)
        if line != "=0":
            raise Failed(f"in the guest, '{command}' failed: {' '.join(lines[-3:])}")
        return lines

    def _seconds(self, what):
        n = self._number()
        if n < 0:
            raise Failed(f"in the guest, '{what}': {os.strerror(-n)}: {self.last_words()}")
        return n / 1e6

    def time(self, nodes, command):
        """Seconds from the start of a shell command until that many new block devices are there."""
        self._tell(f"time {nodes} {command}")
        return self._seconds(command)

    def ask(self, nodes, action):
        """Likewise, from the guest's request to the host, which runs action()."""
        self._tell(f"ask {nodes} go")
        while self._line() != "!go":
            pass
        action()
        return self._seconds("waiting for devices")

    def ping(self):
        """Seconds that a request to the host and its answer take."""
        self._tell("ping")
        while self._line() != "!ping":
            pass
        self._tell("pong")
        return self._seconds("ping")
