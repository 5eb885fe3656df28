"""What a worker must drive without knowing it: a session pool, a Telegram account.

`cli` passes resources to the worker. Each is started before the first claim and stopped after the last run.
"""

import asyncio
from typing import Protocol

from jobs_core.tasks import end_task, first


class Resource(Protocol):
    """Something with a life of its own inside a worker process."""

    async def start(self) -> None:
        """Make ready; a raise ends the worker with that error, before it has claimed anything."""

    async def lease_lost(self) -> None:
        """End at once all that is done for this worker's runs; they were cancelled. New runs may come later."""

    async def stop(self) -> None:
        """Close; no run is left. Called once, after `start` was."""


async def started(resource: Resource, draining: asyncio.Event) -> bool:
    """Start it; False, and it is not, where a drain is asked for before it is: it may wait for a database that is away.

    Raises what its `start` raised.
    """
    starting = asyncio.create_task(resource.start())
    await first(asyncio.wait({starting}), draining.wait())
    if not starting.done():
        await end_task(starting)
        return False
    starting.result()
    return True
