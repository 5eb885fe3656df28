"""Work that has nothing to do with ours, and spends as much of the processor: what is slow beside that lacks cores.

spent_s ─ … ─▶ so many cores were busy ─▶ burning(cores): a process for each core, which spins its share of each 10 ms
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

_SPIN = """
import os, sys, time
share, parent = float(sys.argv[1]), int(sys.argv[2])
while os.getppid() == parent:
    began = time.perf_counter()
    while time.perf_counter() < began + share * 0.01:
        pass
    time.sleep(max(began + 0.01 - time.perf_counter(), 0.0))
"""


def spent_s() -> float:
    """Of all cores of this machine, since it began."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


@contextmanager
def burning(cores: float) -> Iterator[None]:
    """Have so many cores busy, spread over all that there are."""
    count = os.cpu_count() or 1
    share = str(min(max(cores, 0.0) / count, 1.0))
    command = [sys.executable, "-c", _SPIN, share, str(os.getpid())]
    burners = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
