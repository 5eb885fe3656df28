"""How a process that `./jobs up` started ends with it, however that dies: the kernel sees to it, and a pipe besides."""

import os
import signal
import threading

from workers.process_tree import die_with_parent


def end_with_parent() -> None:
    """Call it first thing. From now on this process is killed when its parent is gone.

    The kernel's signal reaches a stopped process too; the pipe is for systems that have no such signal (macOS).
    """
    die_with_parent(signal.SIGKILL)
    threading.Thread(target=_await_end_of_stdin, name="parent", daemon=True).start()


def _await_end_of_stdin() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
