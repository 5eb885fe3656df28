"""Sticky jobs and real workers: the one that ran the last of a key is hinted at, and takes the next one at once.

Polls are 30 s away and jobs would wait for a minute, so that whatever ends in these tests was hinted at.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Self

from jobs_core import AnyJob, Complete, Connection, Database, HandlerTable, Jobs, JobType, NewJob, execute, fetch
from jobs_core.leases import register
from tests.support.job_types import NOTE, Note
from tests.support.worker import ended, until, working
from workers.claims import Claimer, Claims
from workers.sticky_claims import StickyClaims
from workers.testing import drain
from workers.worker import Worker

STICKY = JobType("sticky", Note, sticky_key=lambda note: note.text, sticky_for=timedelta(minutes=1))
IN_LANE = JobType(
    "in_lane", Note, lane=lambda note: note.lane, sticky_key=lambda note: note.lane, sticky_for=timedelta(minutes=1)
)


class Fleet:
    """Workers in this process, each with a door of its own, and who ran which job."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stack = AsyncExitStack()
        self.doors = list[Jobs]()
        self.workers = list[Worker]()
        self.ran = list[tuple[str, int]]()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.gate.set()
        await self._stack.aclose()

    async def add(self, **settings: float) -> None:
        """One more."""
        number = len(self.doors)

        async def handle(job: AnyJob) -> Complete:
            self.ran.append((job.input.text or job.input.lane, number))
            await self.gate.wait()
            return Complete()

        handlers = dict.fromkeys((STICKY, IN_LANE, NOTE), handle)
        jobs, worker = await self._stack.enter_async_context(working(self._database, handlers, (), **settings))
        self.doors.append(jobs)
        self.workers.append(worker)

        async def registered() -> bool:
            async with self._database.connection() as conn:
                return len(await fetch(conn, "SELECT FROM jobs.workers WHERE dead_at IS NULL")) == number + 1

        await until(registered)


async def test_jobs_of_a_key_go_to_the_worker_of_the_last_one_whoever_creates_them(database: Database) -> None:
    async with Fleet(database) as fleet:
        for _ in range(2):
            await fleet.add(slots=4)
        for n in range(12):
            created = await fleet.doors[n % 2].create(STICKY, {"text": f"key {n % 3}"})
            await ended(database, created.id)
        assert len(fleet.ran) == 12
        assert len(set(fleet.ran)) == 3


async def test_a_lane_stays_with_its_worker(database: Database) -> None:
    async with Fleet(database) as fleet:
        for _ in range(2):
            await fleet.add(slots=1)
        fleet.gate.clear()
        ids = [(await fleet.doors[0].create(IN_LANE, {"lane": "turn:7"})).id for _ in range(6)]
        fleet.gate.set()
        for job_id in ids:
            await ended(database, job_id)
        assert len(fleet.ran) == 6
        assert len(set(fleet.ran)) == 1


async def test_a_lane_that_stays_with_its_worker_keeps_no_others_from_it(database: Database) -> None:
    async with Fleet(database) as fleet:
        await fleet.add(slots=1)
        fleet.gate.clear()
        lane = [(await fleet.doors[0].create(IN_LANE, {"lane": "turn:7"})).id for _ in range(20)]
        notes = [(await fleet.doors[0].create(NOTE, {"text": "note"})).id for _ in range(20)]
        fleet.gate.set()
        for job_id in lane + notes:
            await ended(database, job_id)
        among_the_first = [what for what, _ in fleet.ran[:20]]
        assert min(among_the_first.count("note"), among_the_first.count("turn:7")) >= 4


async def test_a_worker_that_is_full_is_not_waited_for(database: Database) -> None:
    async with Fleet(database) as fleet:
        await fleet.add(slots=1)
        await ended(database, (await fleet.doors[0].create(STICKY, {"text": "a"})).id)
        fleet.gate.clear()
        await fleet.doors[0].create(NOTE, {"text": "busy"})
        await until(lambda: _is(len(fleet.ran) == 2))
        await fleet.add(slots=1)
        await fleet.doors[0].create(STICKY, {"text": "a"})
        await until(lambda: _is(len(fleet.ran) == 3))
        assert fleet.ran == [("a", 0), ("busy", 0), ("a", 1)]


async def test_what_waits_for_a_worker_that_drains_is_taken_by_another(database: Database) -> None:
    async with Fleet(database) as fleet:
        await fleet.add(slots=2)
        await ended(database, (await fleet.doors[0].create(STICKY, {"text": "a"})).id)
        fleet.gate.clear()
        await fleet.doors[0].create(NOTE, {"text": "busy"})
        await until(lambda: _is(len(fleet.ran) == 2))
        fleet.workers[0].drain()
        await fleet.add(slots=2)

        async def left() -> bool:
            async with database.connection() as conn:
                return not await fetch(conn, "SELECT FROM jobs.sticky_keys WHERE key = 'a'")

        await until(left)
        await fleet.doors[1].create(STICKY, {"text": "a"})
        await until(lambda: _is(len(fleet.ran) == 3))
        assert fleet.ran[-1] == ("a", 1)


async def test_what_waits_for_a_worker_that_died_goes_on_when_its_time_is_over(database: Database) -> None:
    short = JobType("sticky", Note, sticky_key=lambda note: note.text, sticky_for=timedelta(seconds=0.5))
    ran = list[str]()

    async def handle(job: AnyJob) -> Complete:
        ran.append(job.input.text)
        return Complete()

    async with working(database, {short: handle}) as (jobs, _), database.connection() as conn:
        await execute(
            conn,
            "WITH gone AS (INSERT INTO jobs.workers (host, pid, queues, job_types, slots, lease_s, expires_at) "
            "VALUES ('far', 1, '{default}', '{sticky}', 9, 60, now() + interval '1 min') RETURNING id) "
            "INSERT INTO jobs.sticky_keys (key, worker_id) SELECT 'a', id FROM gone",
        )
        created = await jobs.create(short, {"text": "a"})
        await ended(database, created.id)
    assert ran == ["a"]


async def test_room_that_is_made_while_a_claim_is_under_way_is_claimed_for(
    database: Database, conn: Connection
) -> None:
    class OneEndsMeanwhile:
        """Room for one. While the first claim is under way, a run ends."""

        def __init__(self) -> None:
            self.free = 1
            self.taken = list[AnyJob]()
            self.on_room: Callable[[], object] = lambda: None
            self.wave = 1

        def room(self) -> int:
            return self.free

        def take(self, jobs: Sequence[AnyJob]) -> None:
            self.free += (not self.taken) - len(jobs)
            self.taken += jobs

        def held(self) -> Iterator[int]:
            return (job.id for job in self.taken)

    table, runs = HandlerTable(), OneEndsMeanwhile()
    table.declare(STICKY)
    async with Jobs(database, table) as jobs:
        worker_id = await register(conn, queues=["default"], job_types=["sticky"], slots=9, lease_s=600)
        await execute(conn, "INSERT INTO jobs.sticky_keys (key, worker_id) VALUES ('a', %(id)s)", {"id": worker_id})
        await jobs.create_many([NewJob(STICKY, {"text": "a"})] * 2)
        claimer = Claimer(database, worker_id, ["default"], poll_s=lambda: 30.0, on_failure=lambda: None)
        claims = StickyClaims(claimer, runs, [STICKY], others=Claims(claimer, runs, [STICKY]))
        looking = asyncio.create_task(claims.run())
        await until(lambda: _is(len(runs.taken) == 2))
        looking.cancel()


async def test_a_drain_by_hand_runs_all_of_a_key(database: Database) -> None:
    """In tests of handlers nobody waits a minute."""

    async def handle(job: AnyJob) -> Complete:
        if job.input.lane == "first":
            await jobs.create(STICKY, {"text": "a"})
        return Complete()

    table = HandlerTable()
    table.register_handler(STICKY, handle)
    async with Jobs(database, table) as jobs:
        await jobs.create(STICKY, {"text": "a", "lane": "first"})
        assert [run.state for run in await drain(jobs)] == ["complete", "complete"]


async def _is(value: object) -> object:
    return value
