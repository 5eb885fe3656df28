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

    async def run() -> None:
        forced = asyncio.Event()

        def on_signal(task: asyncio.Task[None]) -> None:
            if task.cancelling():
                note("Cutting it short.")
                forced.set()
            else:
                note("Stopping: what runs may end (Ctrl-C once more cuts it short).")
                task.cancel()

        await stopped_by_signals(command(forced), on_signal)

    asyncio.run(run())


async def stopped_by_signals(
    work: Coroutine[Any, Any, None], on_signal: Callable[[asyncio.Task[None]], object] = asyncio.Task.cancel
) -> None:
    """Await work that SIGINT, SIGTERM and SIGHUP of this process end: each is told to `on_signal`, which cancels it."""
    task = asyncio.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, task)
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
