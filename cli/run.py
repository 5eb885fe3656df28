"""Runs a command that goes on until it is told to end, and has much to end in order.

first SIGINT, SIGTERM or SIGHUP ─▶ the command is cancelled and ends its processes, each in its time
second ─▶ `forced` is set: whatever still ends is cut short
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from cli.printing import note

T = TypeVar("T")


def run_until_stopped(command: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run `command(forced)`; returns when it has ended after a signal. Raises what it raised."""
    asyncio.run(_run(command))


async def _run(command: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    forced = asyncio.Event()
    task = asyncio.create_task(command(forced))

    def on_signal() -> None:
        if task.cancelling():
            note("Cutting it short.")
            forced.set()
        else:
            note("Stopping: what runs may end (Ctrl-C once more cuts it short).")
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread. Cancelled, it still waits for the work's end: what that holds is closed by others."""
    return await finished(asyncio.to_thread(work))


async def finished(work: Awaitable[T]) -> T:
    """Await something that must not be cut in the middle; a cancel is raised after its end."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
