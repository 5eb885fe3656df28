"""Processes below a process: stopped and killed, so that none gets away by forking meanwhile.

Linux keeps a tree together: a descendant whose parent ends comes to the nearest subreaper above it, however it daemonised, and
`PR_SET_PDEATHSIG` tells a child that its parent has ended. Elsewhere neither exists; `weaker_here` says what follows.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection
from contextlib import suppress

from jobs_core import ConfigurationError
from workers.process_table import Process, children, look, look_at_all

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36
_LONGEST_CHASE_S = 0.5
"""For one call, so that a guard comes back to its other workers. The fastest chain of forks took up to 0.3 s, in two calls."""


def boottime_s() -> float:
    """Seconds on the clock that deadlines are told in: it goes on while the machine sleeps, and nobody sets it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC)


def weaker_here() -> str | None:
    """What the guard cannot do on this system, in one sentence for people; None where nothing is missing."""
    if sys.platform == "linux":
        return None
    return (
        "This system has no subreaper and no parent-death signal: an agent's process that leaves its worker's process group "
        "outlives a worker that is killed, and a worker that is frozen outlives a killed supervisor."
    )


def become_subreaper() -> None:
    """Have descendants whose parents end come to this process instead of init; nothing on systems that cannot.

    Raises ConfigurationError where the system's rules forbid it.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def signal_at_parents_end(number: int) -> None:
    """Have this process sent a signal when its parent ends; nothing on systems that cannot.

    By "parent" Linux means the *thread* that started this process. An end before this call is not noticed: pair it with a
    pipe. Raises ConfigurationError where the system's rules forbid it.
    """
    _prctl(_PR_SET_PDEATHSIG, number)


def die_with_parent(number: int = signal.SIGKILL, *, parent_pid: int | None = None) -> None:
    """`signal_at_parents_end`, and at once where `parent_pid`, as the parent told it, is already not the parent any more."""
    signal_at_parents_end(number)
    if parent_pid is not None and os.getppid() != parent_pid:
        os.kill(os.getpid(), number)


def kill_descendants(pid: int, *, keep: Collection[int] = ()) -> list[int]:
    """Kill all that descends from `pid` (not `pid` itself), but for the pids in `keep` and what descends from those.

    Each is stopped the moment it is seen, and the look repeated until it shows no new one: who is stopped neither forks nor
    restarts others, and its children stay below it. Returns the pids of those that ran. They end soon after, and their
    parent has to wait for them. After 0.5 s of chasing something that forks and ends faster than it can be seen, it kills
    what it has: call it again.
    """
    root = look(pid)
    if root is None:
        return []
    found = {root.identity: root}
    until = time.monotonic() + _LONGEST_CHASE_S
    while _stop_new(found, keep) and time.monotonic() < until:
        pass
    del found[root.identity]
    for process in found.values():
        _signal(process, signal.SIGKILL)
    return [process.pid for process in found.values() if not process.ended]


def reap_adopted() -> None:
    """Wait for ended children that this subreaper did not start itself, so that they do not fill the process table.

    Only for those of which that is certain, or some `Popen` would lose its exit code: a child of ours is in our session or
    leads its own.
    """
    session = os.getsid(0)
    for child in children(os.getpid()):
        if child.ended and child.session not in {session, child.pid}:
            with suppress(ChildProcessError):
                os.waitpid(child.pid, os.WNOHANG)


def _stop_new(found: dict[tuple[int, float], Process], keep: Collection[int]) -> bool:
    """One look: stop whose parent is in `found`, and add them to it. Whether there was one; an ended one may have forked."""
    parents = {process.pid: process for process in found.values()}
    before = len(found)

    def take(process: Process) -> bool:
        parent = parents.get(process.parent)
        # Its id may have been its parent's id's second owner: no child is older than its parent.
        if parent is None or process.pid in keep or process.started < parent.started or process.identity in found:
            return False
        _signal(process, signal.SIGSTOP)
        found[process.identity] = parents[process.pid] = process
        return True

    later = [process for process in look_at_all() if not take(process)]
    for process in reversed(later):  # parents first: most were seen after their children
        take(process)
    return len(found) > before


def _signal(process: Process, number: int) -> None:
    now = look(process.pid)
    if now and now.identity == process.identity:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)


def _prctl(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise ConfigurationError(
            f"prctl({option}) is refused ({os.strerror(ctypes.get_errno())}), so agents cannot be kept under guard: "
            "allow it in this container's seccomp profile"
        )
