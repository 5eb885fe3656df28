"""Ending asyncio tasks so that nothing of them goes on, and waiting with an end."""

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any


async def wait_at_most(event: asyncio.Event, timeout_s: float | None) -> None:
    """Return when the event is set, or when so much time has passed; None: as long as it takes."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancel the task and return when it has ended, however often we are cancelled meanwhile."""
    task.cancel()
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            continue


async def cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel these and return when all have ended."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def first(*waits: Coroutine[Any, Any, object]) -> None:
    """Return when the first of these does; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel(tasks)
