"""What a worker must drive without knowing it: a session pool, a Telegram account.

`cli` passes resources to the worker. Each is started before the first claim and stopped after the last run.
"""

from typing import Protocol


class Resource(Protocol):
    """Something with a life of its own inside a worker process."""

    async def start(self) -> None:
        """Make ready; a raise ends the worker with that error, before it has claimed anything."""

    async def lease_lost(self) -> None:
        """End at once all that is done for this worker's runs; they were cancelled. New runs may come later."""

    async def stop(self) -> None:
        """Close; no run is left. Called once, after `start` was."""
