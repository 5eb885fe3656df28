"""Processes that a test started, however far they have wandered: found by a variable in their environment."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil

MARK = "JOBS_TEST_MARK"
"""Put a unique text here in the environment of what a test starts; children inherit it. `mark/part` names a part of them."""


def left_running(mark: str, command: Sequence[str] = ()) -> list[psutil.Process]:
    """All live processes with this mark, or with a part of it; frozen ones too. A cleared environment hides a process.

    command: only those that run just this.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            value = process.environ().get(MARK, "")
            if (value == mark or value.startswith(f"{mark}/")) and process.status() != psutil.STATUS_ZOMBIE:
                if command and process.cmdline() != list(command):
                    continue
                found.append(process)
    return found


def kill_left(mark: str) -> None:
    """Kill all that carries this mark; for the end of a test."""
    while left := left_running(mark):
        for process in left:
            with suppress(psutil.Error):
                process.kill()


def until(condition: Callable[[], object], what: str, within_s: float = 10) -> None:
    """Wait for a condition, or fail saying which."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.01)


def lives(pid: int) -> bool:
    """Whether there is such a process, frozen or not, that has not ended."""
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def ports_of(pid: int) -> set[int]:
    """The local ports of its TCP connections; none where it has ended."""
    with suppress(psutil.Error):
        return {one.laddr.port for one in psutil.Process(pid).net_connections("tcp")}
    return set()
