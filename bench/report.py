# SPDX-License-Identifier: BSD-3-Clause
"""Rows of the benchmark: what was measured, their medians, the table and bench.json."""

import json
import os
import platform
import statistics


class Row:
    """One line of the table. Samples are added as they are measured."""

    def __init__(self, name, unit, peer_name=None, higher=True, aim=None, paired=False):
        """paired: the i-th samples of both sides were taken right after each other: where the
        machine is faster at times, their ratio says more than that of the medians."""
        self.paired = paired
        self.name, self.unit, self.peer_name = name, unit, peer_name
        self.higher, self.aim = higher, aim  # the aim is a ratio
        self.figure = None  # or a figure of ours
        self.ours, self.peer = [], []
        self.ours_cpu, self.peer_cpu = [], []  # the server's CPU time for a request, ns

    @staticmethod
    def _median(samples):
        return statistics.median(samples) if samples else None

    def _ratios(self):
        """Of the repetitions where they are pairs, else the one of the medians."""
        ours, peer = self.ours, self.peer
        if not self.paired or len(ours) != len(peer):
            ours, peer = [self._median(ours)], [self._median(peer)]
        return [a / b if self.higher else b / a for a, b in zip(ours, peer) if a and b]

    def result(self):
        ours, peer = self._median(self.ours), self._median(self.peer)
        ratios = self._ratios()
        ratio = self._median(ratios)
        out = {
            "name": self.name, "unit": self.unit, "ours": ours,
            "peer_name": self.peer_name, "peer": peer,
            "ratio": round(ratio, 3) if ratio else None,
            "higher_is_better": self.higher, "machine": machine(),
        }
        for key, samples in (("ours_cpu_ns", self.ours_cpu), ("peer_cpu_ns", self.peer_cpu)):
            if samples:
                out[key] = self._median(samples)
        if self.aim is not None:
            out["aim"] = self.aim
        if self.figure is not None:
            out["aim_ours"] = self.figure
        if len(ratios) > 1:
            out["ratio_range"] = [round(min(ratios), 3), round(max(ratios), 3)]
        if len(self.ours) > 1:
            out["ours_range"] = [min(self.ours), max(self.ours)]
        if len(self.peer) > 1:
            out["peer_range"] = [min(self.peer), max(self.peer)]
        return out


def machine():
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return f"{model}, {os.cpu_count()} CPUs, {memory} GiB, Linux {platform.release()}"


def _figure(value):
    if value is None:
        return "-"
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if suffix == 'k' else limit):.2f}{suffix}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


HEAD = ("", "unit", "ours", "peer", "ratio", "CPU ns ours/peer", "the peer")


def _cells(r):
    cpu = ""
    if "ours_cpu_ns" in r or "peer_cpu_ns" in r:
        cpu = _figure(r.get("ours_cpu_ns")) + " / " + _figure(r.get("peer_cpu_ns"))
    ratio = "-" if r["ratio"] is None else f"{r['ratio']:.2f}"
    if r.get("aim") and r["ratio"] is not None:
        ratio += f" (aim {r['aim']:g})"
    if r.get("aim_ours"):
        ratio = f"aim {_figure(r['aim_ours'])}"
    return (r["name"], r["unit"], _figure(r["ours"]), _figure(r["peer"]), ratio, cpu,
            r["peer_name"] or "")


def print_table(rows):
    lines = [HEAD] + [_cells(row.result()) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    print()
    for line in lines:
        text = [c.rjust(w) if 2 <= i <= 3 else c.ljust(w)
                for i, (c, w) in enumerate(zip(line, widths))]
        print("  ".join(text).rstrip())
    print("\nMedians; the ratio of a net row is the median of the repetitions' ratios. Above 1 "
          "ours is better. " + machine())


def write_json(rows, path):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".new", "w", encoding="ascii") as f:
        json.dump([row.result() for row in rows], f, indent=1)
        f.write("\n")
    os.replace(path + ".new", path)
