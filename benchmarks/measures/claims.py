"""What stands behind the jobs that are claimed: a queue with it beside one without, claim by claim in turns.

    two databases ─▶ in one the others, in both READY jobs ─▶ vacuum, checkpoint
    claim here, claim there, each timed ─▶ untimed: end them, create as many ─▶ claim …   ─▶ p50, p99 of both

A claim is a worker's: over one connection, with its cursor, and durable.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.contenders.us import BRIEF, LANE, LIMITED, MARKED, NO_HISTORY, known
from benchmarks.errors import BenchFailed
from benchmarks.plan import Plan
from benchmarks.server import Server, plain
from jobs_core import AnyJob, Complete, Connection, Database, Jobs, JobType, Limit, NewJob
from jobs_core.claim import claim
from jobs_core.claim_limited import claim_limited
from jobs_core.leases import register
from jobs_core.limits import set_limit
from jobs_core.settle import Completed, end_many, settle
from workers.claims import Cursor

READY = 1_000
"""Jobs that are there to be claimed, whatever stands behind them."""
QUEUES = ["default"]
JOB_TYPES = [job_type.name for job_type in (BRIEF, NO_HISTORY, MARKED, LANE, LIMITED)]
LEASE_S = 24 * 3600.0
_FREE = "open"
"""The limit of the jobs that are claimed: it comes after all full ones in the order of a look."""


class Queue:
    """A database's jobs, one connection to it, and a worker that lives through the run and claims jobs without limits."""

    job_type: JobType[Any] = NO_HISTORY
    wave = 100
    """How many are claimed at once, where it is not one."""

    def __init__(self, jobs: Jobs, conn: Connection, worker_id: int) -> None:
        self.jobs = jobs
        self.conn = conn
        self.worker_id = worker_id
        self._cursor = Cursor()

    async def prepare(self) -> None:
        """Make the jobs that will be claimed."""
        await self._make(READY)

    async def turn(self, slots: int) -> float:
        """Claim so many; returns milliseconds. Then end them and create as many anew. Raises BenchFailed."""
        began = time.perf_counter()
        claimed = await self.take(slots)
        spent_ms = (time.perf_counter() - began) * 1000
        if len(claimed) != slots:
            raise BenchFailed(f"a claim of {slots} got {len(claimed)} jobs, of {READY} that are ready")
        await self.end(claimed)
        await self._make(slots)
        return spent_ms

    async def take(self, slots: int) -> list[AnyJob]:
        """A worker's claim."""
        claimed = await claim(
            self.conn,
            worker_id=self.worker_id,
            queues=QUEUES,
            job_types=JOB_TYPES,
            slots=slots,
            floors=self._cursor.floors(),
        )
        self._cursor.claimed(claimed)
        return claimed

    async def end(self, claimed: Sequence[AnyJob]) -> None:
        """Settle them."""
        await end_many(self.conn, [Completed(job, None, "none") for job in claimed])

    async def _make(self, jobs: int) -> None:
        await self.jobs.create_many([NewJob(self.job_type, {"text": _FREE, "sent": 0.0})] * jobs, conn=self.conn)


class LimitedQueue(Queue):
    """The same with jobs of a limit that has slots for all of them."""

    job_type = LIMITED
    wave = 10
    _after = ""

    async def prepare(self) -> None:
        """Make the limit, too."""
        await set_limit(self.conn, Limit(_FREE, slots=READY))
        await super().prepare()

    async def take(self, slots: int) -> list[AnyJob]:
        """A worker's claim: as many looks as it takes to come by groups that have no slots."""
        while True:
            found = await claim_limited(
                self.conn, worker_id=self.worker_id, queues=QUEUES, job_types=JOB_TYPES, slots=slots, after=self._after
            )
            self._after = found.after
            if found.jobs or found.again_in_s != 0:
                return found.jobs

    async def end(self, claimed: Sequence[AnyJob]) -> None:
        """Settle them, in one commit: it is not what is timed."""
        async with self.conn.transaction():
            for job in claimed:
                await settle(self.conn, job, Complete(), LIMITED)


@dataclass(frozen=True, slots=True)
class Claimed:
    """Milliseconds of one claim behind others, and of one in the queue that holds nothing else."""

    p50: float
    p99: float
    empty_p50: float
    empty_p99: float


async def claims_behind(
    server: Server, plan: Plan, fill: Callable[[Queue], Awaitable[None]], kind: type[Queue]
) -> Mapping[int, Claimed]:
    """By how many are claimed at once, one or a wave: medians of the rounds. Raises BenchFailed."""
    async with _queue(server, kind) as behind, _queue(server, kind) as empty:
        await fill(behind)
        for queue in (behind, empty):
            await queue.prepare()
            await _settle_down(queue.jobs.database.dsn)
        found = {
            slots: [await _round(behind, empty, slots, plan.claims) for _ in range(plan.rounds)]
            for slots in (1, kind.wave)
        }
    return {slots: Claimed(*map(median, zip(*rounds, strict=True))) for slots, rounds in found.items()}


async def _round(behind: Queue, empty: Queue, slots: int, claims: int) -> tuple[float, float, float, float]:
    spent: dict[Queue, list[float]] = {behind: [], empty: []}
    for number in range(claims):
        for queue in (behind, empty) if number % 2 else (empty, behind):
            spent[queue].append(await queue.turn(slots))
    return *_percentiles(spent[behind]), *_percentiles(spent[empty])


def _percentiles(spent_ms: Sequence[float]) -> tuple[float, float]:
    in_order = sorted(spent_ms)
    return in_order[len(in_order) // 2], in_order[len(in_order) * 99 // 100]


@asynccontextmanager
async def _queue(server: Server, kind: type[Queue]) -> AsyncIterator[Queue]:
    async with (
        server.fresh() as dsn,
        Database(dsn, name="bench", max_connections=2) as database,
        Jobs(database, known()) as jobs,
        database.connection() as conn,
    ):
        worker_id = await register(conn, queues=QUEUES, job_types=JOB_TYPES, slots=READY, lease_s=LEASE_S)
        yield kind(jobs, conn, worker_id)


async def _settle_down(dsn: str) -> None:
    async with plain(dsn) as conn:
        await conn.execute("VACUUM (ANALYZE) jobs.jobs")
        await conn.execute("CHECKPOINT")
