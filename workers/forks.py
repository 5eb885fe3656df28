"""Forks without exec inside a handler: the child is a copy of the worker, and must never act as one.

What the child has of its worker                  What becomes of it, before any code of the handler's goes on there
    connections to Postgres and others                their descriptors lead nowhere, so that not even the goodbye of one
                                                      that is collected as garbage reaches the other end
    the event loop, with what stood ready in it       hears nothing; if control comes back to it, the child ends
    the worker's answer to SIGTERM                    the default: the child ends

What the child starts for itself works, and pipes and pairs of sockets stay as they are: multiprocessing never comes back to
the loop. Who calls a handler calls `end_if_forked` after it: a child that a handler's *thread* forked has no loop to come back
to, and one that returns to a task would go on there until that waits for something.
"""

import asyncio
import os
import select
import signal
import socket
import stat
import sys
import threading
from contextlib import suppress
from pathlib import Path

EXIT_FORKED = 77
_ANSWERED = (signal.SIGTERM, signal.SIGINT)
_DESCRIPTORS = Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")

_forking = threading.local()
_forked = False


def end_if_forked() -> None:
    """End this process if it is a child that a handler forked: the handler's code has come to its end."""
    if _forked:
        os._exit(EXIT_FORKED)


def keep_forks_apart() -> None:
    """From now on, for as long as this process and its children live. Call it once, in a worker process."""
    os.register_at_fork(before=_prepare, after_in_parent=_go_on, after_in_child=_cut_off)


def _prepare() -> None:
    try:
        _forking.loop = asyncio.get_running_loop()  # in the child asyncio says that no loop runs
    except RuntimeError:
        _forking.loop = None
    # A signal to the child must not come before it has let go of the worker's answer to it.
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ANSWERED)


def _go_on() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _cut_off() -> None:
    global _forked  # noqa: PLW0603 - a process is forked or it is not
    _forked = True
    for descriptor in _open_descriptors():
        with suppress(OSError):
            _lead_nowhere(descriptor)
    signal.set_wakeup_fd(-1)  # it is the worker's loop that would be told
    for number in _ANSWERED:
        signal.signal(number, signal.SIG_DFL)
    _go_on()
    if _forking.loop is not None:
        _forking.loop._ready.clear()  # noqa: SLF001 - no other way to keep the worker's callbacks from running twice
        _forking.loop.call_soon(os._exit, EXIT_FORKED)


def _open_descriptors() -> list[int]:
    return [int(entry.name) for entry in _DESCRIPTORS.iterdir()]


def _lead_nowhere(descriptor: int) -> None:
    if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        if not _is_of_a_pair(descriptor):
            with Path(os.devnull).open("r+b", buffering=0) as nowhere:
                os.dup2(nowhere.fileno(), descriptor, inheritable=False)
    elif sys.platform == "linux" and str((_DESCRIPTORS / str(descriptor)).readlink()) == "anon_inode:[eventpoll]":
        with select.epoll() as deaf:  # the worker's own would take what the child adds and removes
            os.dup2(deaf.fileno(), descriptor, inheritable=False)


def _is_of_a_pair(descriptor: int) -> bool:
    with socket.socket(fileno=os.dup(descriptor)) as end:
        return end.family == socket.AF_UNIX and not end.getsockname() and not end.getpeername()
