# SPDX-License-Identifier: BSD-3-Clause
"""The servers that are compared, tvqd and qemu-storage-daemon: start, pause, speak to, stop."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time


class Failed(Exception):
    """A program did not do what it was started for; the text says which and why."""


def cpu_seconds_of(pid):
    # clock_getcpuclockid(3): a process' CPU clock is made of its id.
    return time.clock_gettime(~pid << 3 | 2)


class Lines:
    """A JSON protocol of one line an object, with requests in flight."""

    def __init__(self, path, timeout=20):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.rest = b""
        self.ready = []

    def send(self, data):
        self.sock.sendall(data)

    def receive(self):
        """The next line, as bytes."""
        while not self.ready:
            data = self.sock.recv(1 << 18)
            if not data:
                raise Failed("the server closed its control connection")
            lines = (self.rest + data).split(b"\n")
            self.rest = lines.pop()
            self.ready = [line for line in lines if line.strip()][::-1]
        return self.ready.pop()

    def close(self):
        self.sock.close()


class Server:
    """A process with a control socket and a vhost-user socket, both in a folder of its own."""

    label = "?"

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.socket = os.path.join(folder, "vu")
        self.control_path = os.path.join(folder, "ctl")
        self.log = os.path.join(folder, "log")
        self.process = None
        self.control = None

    def launch(self, argv):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        limit = time.monotonic() + 10
        while True:
            if self.process.poll() is not None:
                raise Failed(f"{self.label} ended at once: {self.last_words()}")
            try:
                self.control = Lines(self.control_path)
                return
            except OSError:
                if time.monotonic() > limit:
                    self.stop()
                    raise Failed(f"{self.label} opened no {self.control_path}: "
                                 f"{self.last_words()}") from None
                time.sleep(0.01)

    def last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return " | ".join(f.read().strip().splitlines()[-3:])

    @property
    def pid(self):
        return self.process.pid

    def pause(self):
        """A polling server would take the CPU of the one that is measured."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)

    def cpu_seconds(self):
        return cpu_seconds_of(self.pid)

    def rss_bytes(self):
        """Memory that is the process' own."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as f:
            fields = dict(line.split()[:2] for line in f if line.startswith(("Private", "Pss:")))
        return (int(fields["Private_Clean:"]) + int(fields["Private_Dirty:"])) * 1024

    def stop(self):
        if not self.process:
            return
        if self.control:
            self.control.close()
        if self.process.poll() is None:
            self.resume()
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    # What add/remove measurements need: requests as bytes, and whether an answer is a good one.
    def add_request(self, name, path):
        raise NotImplementedError

    def del_request(self, name):
        raise NotImplementedError

    def check(self, line):
        """The answer, or Failed."""
        raise NotImplementedError

    def is_answer(self, line):
        """False for what comes unasked."""
        return True

    def is_removed(self, line):
        """Whether it is what says that a removed device is gone: the answer itself, or an event."""
        return self.is_answer(line)

    def call(self, request):
        self.control.send(request)
        while True:
            line = self.control.receive()
            if self.is_answer(line):
                return self.check(line)

    def call_all(self, requests, removes=False):
        """Many at once; returns when all are answered (and, with removes, the devices gone)."""
        self.control.send(b"".join(requests))
        answers = removed = 0
        while answers < len(requests) or (removes and removed < len(requests)):
            line = self.control.receive()
            removed += self.is_removed(line)
            if self.is_answer(line):
                self.check(line)
                answers += 1


class Tvqd(Server):
    label = "tvqd"

    def __init__(self, folder, binary, polling, cpu=1, serve=None, more=()):
        """serve: --serve's argument; with a CPU, all of it is one thread there, which polls always
        or not at all. more: arguments that come last."""
        super().__init__(folder)
        workers = "1" if cpu is None else f"1@{cpu}"
        argv, poll = [binary, "--control", self.control_path], "always" if polling else None
        if serve:
            argv += ["--serve", serve]
        if serve and cpu is not None:
            argv, workers, poll = ["taskset", "-c", str(cpu)] + argv, "0", poll or "0"
        self.launch(argv + ["--workers", workers] + (["--poll-us", poll] if poll else []) +
                    list(more))

    @staticmethod
    def request(cmd, **args):
        args = {key.replace("_", "-") if key == "vhost_user" else key: value
                for key, value in args.items()}
        return json.dumps({"cmd": cmd, "args": args}).encode() + b"\n"

    def check(self, line):
        answer = json.loads(line)
        if "ok" not in answer:
            raise Failed(f"tvqd: {answer.get('error', answer)}")
        return answer["ok"]

    def serve(self, kind, size, path=None):
        """One presented device over a volume: null, null,zero, ram or file (path, direct)."""
        volume = {"name": "v0"}
        if kind.startswith("file"):
            volume.update(file=path, direct="on" if kind == "file direct" else "off")
        else:
            volume[kind] = size
        self.call(self.request("volume add", **volume))
        self.call(self.add_request("d0", self.socket, "v0"))

    def add_managed(self, name):
        return self.request("dev add", name=name, mgmtdev="mgmt0", **{"class": "block"},
                            capacity=1 << 20)

    def add_request(self, name, path, volume=None):
        args = {"name": name, "mgmtdev": "mgmt0", "class": "block", "vhost_user": path}
        if volume:
            args["volume"] = volume
        else:
            args["capacity"] = 1 << 20
        return self.request("dev add", **args)

    def del_request(self, name):
        return self.request("dev del", name=name)


class Storaged(Server):
    label = "qemu-storage-daemon"
    POLL_NS = 10 ** 10

    def __init__(self, folder, binary, polling, cpu=1):
        super().__init__(folder)
        poll = f",poll-max-ns={self.POLL_NS}" if polling else ""
        pin = [] if cpu is None else ["taskset", "-c", str(cpu)]
        chardev = f"socket,id=c0,path={self.control_path},server=on,wait=off"
        self.launch(pin + [binary, "--chardev", chardev, "--monitor", "chardev=c0",
                           "--object", f"iothread,id=t0{poll}"])
        self.control.receive()  # the greeting
        self.call(self.request("qmp_capabilities"))

    @staticmethod
    def request(cmd, **args):
        return json.dumps({"execute": cmd, "arguments": args}).encode() + b"\n"

    def is_answer(self, line):
        return b'"event"' not in line

    def is_removed(self, line):
        return b'"BLOCK_EXPORT_DELETED"' in line

    def check(self, line):
        answer = json.loads(line)
        if "return" not in answer:
            raise Failed(f"qemu-storage-daemon: {answer.get('error', answer)}")
        return answer["return"]

    def node_request(self, kind, size, path=None, name="v0"):
        node = {"node-name": name}
        if kind.startswith("file"):
            node.update(driver="file", filename=path, aio="io_uring",
                        cache={"direct": kind == "file direct"}, locking="off")
            # It and tvqd would refuse to share the file, and rightly.
        else:
            node.update(driver="null-co", size=size)
            node["read-zeroes"] = kind == "null,zero"
        return self.request("blockdev-add", **node)

    def serve(self, kind, size, path=None):
        self.call(self.node_request(kind, size, path))
        self.call(self.add_request("d0", self.socket))

    def add_request(self, name, path, node="v0"):
        return self.request("block-export-add", type="vhost-user-blk", id=name, iothread="t0",
                            addr={"type": "unix", "path": path}, writable=True,
                            **{"node-name": node})

    def del_request(self, name):
        return self.request("block-export-del", id=name)
