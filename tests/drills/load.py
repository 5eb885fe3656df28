"""What drills put through the queue while they hurt it, and what must have become of it.

    producers ── one job a key, again until it is acknowledged ──▶ queue ──▶ workers (load_worker) ──▶ history, effects

Four types, because they are settled in different ways: brief ones (collected), plain ones (one statement), ones with an
effect in the settling transaction, and ones in lanes.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from jobs_core import AnyJob, Complete, Connection, HandlerTable, Jobs, JobType, db, execute, fetch_one
from tests.drills.records import Verdict, keep_records, verdict


class Work(BaseModel):
    """`key` is what its producer knows a job by, whether or not it heard of it."""

    key: str
    lane: str = ""


BRIEF = JobType("drill_brief", Work, brief=True)
PLAIN = JobType("drill_plain", Work)
EFFECT = JobType("drill_effect", Work)
LANED = JobType("drill_laned", Work, lane=lambda work: work.lane)
TYPES = (BRIEF, PLAIN, EFFECT, LANED)
_LANES = 20
_AGAIN_S = 0.02

_TABLES = """
CREATE TABLE drill_effects (job_id bigint NOT NULL, token bigint NOT NULL);
CREATE TABLE drill_ledger (key text PRIMARY KEY, job_id bigint)
"""

_TWINS = """
SELECT count(*) AS n FROM (
    SELECT FROM (SELECT id, input FROM jobs.history UNION ALL SELECT id, input FROM jobs.jobs) AS j
    GROUP BY input ->> 'key' HAVING count(*) > 1) AS twins
"""

_WRONG_EFFECTS = """
SELECT count(*) AS n FROM (
    SELECT FROM jobs.history AS h LEFT JOIN drill_effects AS e ON e.job_id = h.id
    WHERE h.job_type IN ('drill_effect', 'drill_laned')
    GROUP BY h.id, h.token HAVING count(e.token) <> 1 OR min(e.token) <> h.token) AS wrong
"""

WorkType = JobType[Work]
Create = Callable[[WorkType, Work], Awaitable[int]]
"""Creates one job and returns its id once it is acknowledged."""


@dataclass(frozen=True, slots=True)
class Findings(Verdict):
    """twins: keys that have more than one job. wrong_effects: jobs whose effect was not written once, by the run that
    completed them."""

    twins: int
    wrong_effects: int

    @property
    def broken(self) -> list[str]:
        """What must be zero and is not."""
        promised = ("lost", "doubled", "failed", "stale", "twins", "wrong_effects")
        return [f"{name}: {value}" for name in promised if (value := getattr(self, name))]


async def prepare(conn: Connection) -> None:
    """Make the tables of the record in a migrated database."""
    await keep_records(conn)
    await execute(conn, _TABLES)


async def findings(conn: Connection, acknowledged: list[int]) -> Findings:
    """What became of the load, once it is drained."""
    seen = await verdict(conn, acknowledged)
    twins, wrong = await fetch_one(conn, _TWINS), await fetch_one(conn, _WRONG_EFFECTS)
    assert twins
    assert wrong
    return Findings(
        seen.lost, seen.doubled, seen.failed, seen.stale, seen.put_back, twins=twins["n"], wrong_effects=wrong["n"]
    )


def table(work: Callable[[], Awaitable[None]] | None = None) -> HandlerTable:
    """The types; with `work`, also handlers, which do that for each job."""
    known = HandlerTable()
    known.declare_all(TYPES)
    if work is None:
        return known

    async def plain(_: AnyJob) -> Complete:
        await work()
        return Complete()

    async def with_effect(job: AnyJob) -> Complete:
        async def write(conn: Connection) -> None:
            sql = "INSERT INTO drill_effects (job_id, token) VALUES (%(id)s, %(token)s)"
            await execute(conn, sql, {"id": job.id, "token": job.token})

        await work()
        return Complete(also=write)

    for job_type in (BRIEF, PLAIN):
        known.register_handler(job_type, plain)
    for job_type in (EFFECT, LANED):
        known.register_handler(job_type, with_effect)
    return known


class Producers:
    """`at_once` producers, which together begin `per_s` creates a second and repeat each until it is acknowledged.

    `total` None: until `stop`. `acknowledged` are the ids heard of; `unanswered` counts the attempts without an answer.
    """

    def __init__(self, create: Create, total: int | None = None, *, per_s: float, at_once: int = 4) -> None:
        self.acknowledged: list[int] = []
        self.unanswered = 0
        self._create = create
        self._per_s = per_s
        self._at_once = at_once
        self._numbers = itertools.count() if total is None else iter(range(total))
        self._stopped = False

    def stop(self) -> None:
        """Begin no more creates; `run` returns when those under way are acknowledged."""
        self._stopped = True

    async def run(self) -> None:
        """Create them all."""
        paced = self._paced(time.monotonic())
        async with asyncio.TaskGroup() as group:
            for _ in range(self._at_once):
                group.create_task(self._produce(paced))

    def _paced(self, start: float) -> Iterator[tuple[int, float]]:
        return ((number, start + number / self._per_s) for number in self._numbers)

    async def _produce(self, paced: Iterator[tuple[int, float]]) -> None:
        for number, at in paced:
            await asyncio.sleep(max(at - time.monotonic(), 0.0))
            if self._stopped:
                return
            self.acknowledged.append(await self._until_acknowledged(number))

    async def _until_acknowledged(self, number: int) -> int:
        work = Work(key=str(number), lane=f"lane {number // len(TYPES) % _LANES}")
        while True:
            try:
                return await self._create(TYPES[number % len(TYPES)], work)
            except Exception as error:
                if not db.will_pass(error):
                    raise
                self.unanswered += 1
                await asyncio.sleep(_AGAIN_S)


def keyed(jobs: Jobs) -> Create:
    """Creates under an idempotency key, so that repeating it makes no second job."""

    async def create(job_type: WorkType, work: Work) -> int:
        return (await jobs.create(job_type, work, idempotency_key=work.key)).id

    return create


def in_transactions(jobs: Jobs) -> Create:
    """Creates in a transaction with a row of the producer's own, so that repeating it makes no second job."""

    async def create(job_type: WorkType, work: Work) -> int:
        async with jobs.database.transaction() as conn:
            fresh = "INSERT INTO drill_ledger (key) VALUES (%(key)s) ON CONFLICT DO NOTHING"
            if not await execute(conn, fresh, {"key": work.key}):
                known = await fetch_one(conn, "SELECT job_id FROM drill_ledger WHERE key = %(key)s", {"key": work.key})
                assert known
                return int(known["job_id"])
            created = await jobs.create(job_type, work, conn=conn)
            note = "UPDATE drill_ledger SET job_id = %(id)s WHERE key = %(key)s"
            await execute(conn, note, {"key": work.key, "id": created.id})
        created.wake()
        return created.id

    return create


def either_way(jobs: Jobs) -> Create:
    """Creates one half by idempotency key, the other in transactions."""
    ways = keyed(jobs), in_transactions(jobs)
    return lambda job_type, work: ways[int(work.key) // len(TYPES) % 2](job_type, work)


async def drained(conn: Connection, within_s: float) -> None:
    """Wait until no job is left. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while await fetch_one(conn, "SELECT id FROM jobs.jobs LIMIT 1"):
            await asyncio.sleep(0.05)
