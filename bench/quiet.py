# SPDX-License-Identifier: BSD-3-Clause
"""Was anybody else computing while we measured? Then it is measured again, within reason."""

import os
import resource
import time

FOREIGN = 0.15  # of one CPU, above which a measurement counts as disturbed
MORE = 3  # tries for one sample
BUDGET = 60  # tries beyond the first, over the whole run: a busy machine must not take for ever

_HZ = os.sysconf("SC_CLK_TCK")


def _busy_seconds():
    """CPU time that all CPUs spent on processes or that the hypervisor took."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _, _, _, _, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + steal) / _HZ


def _own_seconds(server):
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = time.process_time() + children.ru_utime + children.ru_stime
    return own + (server.cpu_seconds() if server else 0)


class Watch:
    """Runs measurements and counts those that were disturbed."""

    def __init__(self):
        self.samples = self.disturbed = 0
        self.budget = BUDGET

    def _once(self, measure, server):
        begin = time.monotonic()
        before = _busy_seconds() - _own_seconds(server)
        result = measure()
        foreign = _busy_seconds() - _own_seconds(server) - before
        return result, foreign / (time.monotonic() - begin) > FOREIGN

    def sample(self, measure, server=None):
        """measure()'s result, of an undisturbed run if there was one."""
        self.samples += 1
        result, bad = self._once(measure, server)
        for _ in range(MORE - 1):
            if not bad or self.budget <= 0:
                break
            self.budget -= 1
            result, bad = self._once(measure, server)
        self.disturbed += bad
        return result

    def words(self):
        if not self.disturbed:
            return f"{self.samples} measurements, none of them disturbed by other processes."
        return (f"{self.disturbed} of {self.samples} measurements were disturbed by other "
                f"processes (more than {FOREIGN:.0%} of a CPU): the figures say less for it.")
