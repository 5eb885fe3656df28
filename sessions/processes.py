"""Ending a run's processes: the CLI, what its tools started, and what got away from them.

A process belongs to a run when it is a descendant of ours and has the run's home in its environment, or its mark, or when it
descends from one that has. So a tool's child that made itself a daemon is still found: where we are the subreaper it becomes
our own child, and its environment stays. One that was given another (`env -i`, `HOME=…`) is told by the mark: a limit that
means nothing to it, goes along to all that it starts, and can be lowered, but not taken off. Only Linux has that.
"""

import hashlib
from pathlib import Path

import psutil

_MARK_BITS = 48
_ROUNDS = 20  # each ends what the one before left or what was forked meanwhile; two were always enough


def kill_run(home: Path) -> int:
    """Kill all processes of the run that has this home, at once (SIGKILL); returns how many there were."""
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        living = processes_of_run(home)
        if not living:
            break
        for process in living:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
            killed.add(process.pid)
    return len(killed)


def mark_of(home: Path) -> int:
    """The mark of the run that has this home: its limit for time under real-time scheduling, in µs, which no program uses.

    Nine years and more, so that one that does is not ended by it.
    """
    digest = hashlib.sha256(str(home).encode()).digest()
    return (1 << _MARK_BITS) + int.from_bytes(digest[: _MARK_BITS // 8])


def processes_of_run(home: Path) -> list[psutil.Process]:
    """The living processes of the run that has this home."""
    mark = mark_of(home)
    found: dict[int, psutil.Process] = {}
    for process in psutil.Process().children(recursive=True):  # parents come before their children
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.ppid() in found or process.environ().get("HOME") == str(home) or _is_marked(process, mark):
                found[process.pid] = process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # gone meanwhile, or another user's: no run of ours can become that
    return list(found.values())


def _is_marked(process: psutil.Process, mark: int) -> bool:
    return hasattr(psutil, "RLIMIT_RTTIME") and process.rlimit(psutil.RLIMIT_RTTIME)[1] == mark
