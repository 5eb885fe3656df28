"""Processes below a process: seen, stopped and killed, so that none gets away by forking meanwhile.

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

import psutil

from jobs_core import ConfigurationError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36
_LONGEST_CHASE_S = 0.5
"""For one call, so that a guard comes back to its other workers. The fastest fork-and-exit chain took 15 looks, 0.1 s."""


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


def descendants(pid: int, *, keep: Collection[int] = ()) -> list[psutil.Process]:
    """One look at all that descends from `pid`, parents first, but for the pids in `keep` and what descends from those.

    Ended ones that nobody has waited for are among them. Who forks or loses its parent during the look may be missed.
    """
    try:
        root = psutil.Process(pid)
        seen = root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    found = {root.pid: root}
    for process in seen:
        # Asked again, because ids may have been given to other processes during the look: no child is older than its parent.
        with suppress(psutil.Error):
            parent = found.get(process.ppid())
            if parent and process.pid not in keep and process.create_time() >= parent.create_time():
                found[process.pid] = process
    return list(found.values())[1:]


def kill_descendants(pid: int, *, keep: Collection[int] = ()) -> list[int]:
    """Kill all that descends from `pid` (not `pid` itself), but for `keep` and what descends from those.

    Each is stopped first, and the look repeated until it shows no new one: who is stopped neither forks nor restarts others,
    and its children stay below it. Returns the pids of those that ran. They end soon after, and the parent waits for them.
    After 0.5 s of chasing something that forks and ends faster than one look, it kills what it has: call it again.
    """
    try:
        session = os.getsid(pid)
    except ProcessLookupError:
        return []
    found: set[psutil.Process] = set()
    ran: list[int] = []
    until = time.monotonic() + _LONGEST_CHASE_S
    while new := [process for process in descendants(pid, keep=keep) if process not in found]:
        found.update(new)
        for process in new:
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE:
                    ran.append(process.pid)
            _signal(process, signal.SIGSTOP, session)
        if time.monotonic() > until:
            break
    for process in found:
        _signal(process, signal.SIGKILL, session)
    return ran


def reap_adopted() -> None:
    """Wait for ended children that this subreaper did not start itself, so that they do not fill the process table.

    Only for those of which that is certain, or some `Popen` would lose its exit code: a child of ours is in our session or
    leads its own.
    """
    for child in psutil.Process().children():
        with suppress(psutil.Error, OSError):
            if child.status() == psutil.STATUS_ZOMBIE and os.getsid(child.pid) not in (os.getsid(0), child.pid):
                os.waitpid(child.pid, os.WNOHANG)


def _signal(process: psutil.Process, number: int, session: int) -> None:
    """Signal a process, and its group, against which no fork can race, where that holds descendants only.

    It does when it lies in another session than the root's: a descendant began that session.
    """
    with suppress(psutil.Error, OSError):
        group = os.getpgid(process.pid) if os.getsid(process.pid) != session else None
        process.send_signal(number)  # psutil makes sure that it still is this process
        if group:
            os.killpg(group, number)


def _prctl(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise ConfigurationError(
            f"prctl({option}) is refused ({os.strerror(ctypes.get_errno())}), so agents cannot be kept under guard: "
            "allow it in this container's seccomp profile"
        )
