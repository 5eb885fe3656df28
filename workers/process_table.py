"""One look at a process, and at all of them.

On Linux read from /proc directly: psutil takes four times as long for the same facts, and a chain of processes that forks and
ends every 2 ms got away from looks that slow, time after time.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import psutil

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Process(NamedTuple):
    """A process as it was when looked at; ids are given to others after its end, an id with its start is not."""

    pid: int
    parent: int
    session: int
    started: float
    """Comparable on one machine, in no unit of its own."""
    ended: bool
    """It only waits for its parent to take note."""

    @property
    def identity(self) -> tuple[int, float]:
        """The same as long as it is the same process."""
        return self.pid, self.started


def look(pid: int) -> Process | None:
    """The process with this id, None where there is none or it may not be seen."""
    return _look_in_proc(pid) if sys.platform == "linux" else _look_by_psutil(pid)


def look_at_all() -> Iterator[Process]:
    """All processes, each read when it is asked for; highest ids first, because the newest are the first to be gone again."""
    for pid in sorted(psutil.pids(), reverse=True):
        if process := look(pid):
            yield process


def children(pid: int) -> list[Process]:
    """The direct children of a process, ended ones too."""
    return [process for process in look_at_all() if process.parent == pid]


def count_descendants(pids: Iterable[int]) -> dict[int, int]:
    """How many processes there are below each of these, at all levels, ended ones too. One look at all."""
    below = defaultdict[int, list[int]](list)
    for process in look_at_all():
        below[process.parent].append(process.pid)
    counts = {}
    for pid in pids:
        found, unseen = {pid}, [pid]
        while unseen:
            more = set(below[unseen.pop()]) - found
            found |= more
            unseen += more
        counts[pid] = len(found) - 1
    return counts


def resident_bytes(pid: int) -> int:
    """The memory of a process itself that is in RAM, what it shares with others included; 0 where there is none."""
    if sys.platform != "linux":
        with suppress(psutil.Error, OSError):
            return int(psutil.Process(pid).memory_info().rss)
        return 0
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:  # noqa: PTH123 - Path.open costs as much as the rest
            return int(file.read(128).split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def tasks_anywhere() -> int | None:
    """How many processes and threads there are on this machine, in 10 µs; None where the system does not tell."""
    try:
        with open("/proc/loadavg", "rb", buffering=0) as file:  # noqa: PTH123 - Path.open costs as much as the rest
            return int(file.read(128).split()[3].split(b"/")[1])
    except OSError:
        return None


def _look_in_proc(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - Path.open costs as much as the rest
            stat = file.read(1024)
    except OSError:
        return None
    # The program's name, second and in parentheses, may hold anything. Numbers as in proc_pid_stat(5), less three.
    fields = stat[stat.rindex(b")") + 2 :].split(None, 20)
    return Process(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        started=int(fields[19]),
        ended=fields[0] in {b"Z", b"X"},
    )


def _look_by_psutil(pid: int) -> Process | None:
    with suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        return Process(
            pid=pid,
            parent=process.ppid(),
            session=os.getsid(pid),
            started=process.create_time(),
            ended=process.status() == psutil.STATUS_ZOMBIE,
        )
    return None
