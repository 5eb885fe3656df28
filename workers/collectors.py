"""What the runs of a shift write together: their starts, and the settles of those that completed."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from jobs_core import AnyJob, Connection, Database, metrics
from jobs_core.claim import start_many
from jobs_core.settle import Completed, end_many, settled_earlier
from workers.collector import Collector


@dataclass(slots=True)
class _Start:
    job: AnyJob


class Collectors:
    """`on_refused` gets a completed run that nobody waits for and whose settle Postgres refuses."""

    def __init__(self, database: Database, *, on_refused: Callable[[Completed, Exception], object]) -> None:
        self._starts = Collector[_Start](database, _write_starts)
        self._settles = Collector[Completed](
            database, _write_settles, on_refused=on_refused, size=lambda run: len(run.result or "")
        )

    async def start(self, job: AnyJob) -> None:
        """Write `running`. Raises LeaseLost."""
        await self._starts.submit(_Start(job))

    async def settle(self, run: Completed, *, wait: bool) -> None:
        """Write that it completed; without `wait` return before that, unless too many are waiting. Raises LeaseLost."""
        if wait:
            await self._settles.submit(run)
            return
        self._settles.add(run)
        if self._settles.is_full:
            await self._settles.has_room()

    def held(self) -> Iterator[int]:
        """Ids of the jobs that are not written yet."""
        return chain(self._starts.held(), self._settles.held())

    async def are_empty(self) -> None:
        """Return when all that was given is written."""
        await self._starts.is_empty()
        await self._settles.is_empty()

    async def run(self) -> None:
        """Write until cancelled; what is not written then is forgotten."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._starts.run())
            group.create_task(self._settles.run())


async def _write_starts(conn: Connection, starts: Sequence[_Start], unsure: bool) -> set[int]:  # noqa: ARG001, FBT001 - to start again does no harm
    return await start_many(conn, [start.job for start in starts])


async def _write_settles(conn: Connection, runs: Sequence[Completed], unsure: bool) -> set[int]:  # noqa: FBT001 - a collector's
    ended = await end_many(conn, runs)
    missed = [run.job for run in runs if run.job.id not in ended] if unsure else []
    if missed:
        ended |= await settled_earlier(conn, missed)
    for job_type, n in Counter(run.job.job_type for run in runs if run.job.id in ended).items():
        metrics.of_type(job_type).completed.inc(n)
    return ended
