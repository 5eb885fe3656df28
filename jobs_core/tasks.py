"""Ending asyncio tasks so that nothing of them goes on, and waiting with an end."""

import asyncio
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
