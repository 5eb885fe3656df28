"""Limits through workers in the tests' own process: kept, woken for without a poll, and at nobody else's cost."""

import asyncio
from typing import Any

import pytest

import jobs_core.claim_limited
import workers.limited_claims
import workers.shift
from jobs_core import AnyJob, Complete, Database, Jobs, JobType, NewJob, fetch, fetch_one
from jobs_core.claim_limited import Found, claim_limited
from jobs_core.wake import Ready
from tests.database.test_worker import ended, until, working
from tests.support.job_types import BRIEF_NOTE, NOTE, Note
from tests.support.limits import BOUND, BRIEF_BOUND, Bound, create, in_use, rate_of, slots_of, table
from workers.limited_claims import LimitedClaims

ONLY_HINTS = {"poll_s": 30.0, "upkeep_s": 60.0}
OTHER = JobType("other", Bound, limits=BOUND.limits)


class Running:
    """A handler that knows how many of it run at once."""

    def __init__(self, run_s: float = 0.01) -> None:
        self._run_s = run_s
        self.now = self.most = 0

    async def __call__(self, _: AnyJob) -> Complete:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self._run_s)
        self.now -= 1
        return Complete()


async def all_ended(database: Database) -> None:
    async def none_lives() -> bool:
        async with database.connection() as conn:
            return await fetch_one(conn, "SELECT FROM jobs.jobs LIMIT 1") is None

    await until(none_lives)


@pytest.mark.parametrize("job_type", [BOUND, BRIEF_BOUND], ids=lambda job_type: job_type.name)
async def test_never_more_run_than_there_are_slots_and_each_that_ends_lets_the_next_go_at_once(
    database: Database, job_type: JobType[Bound]
) -> None:
    running = Running()

    async def handle(job: AnyJob) -> Complete:
        return await running(job)

    async with working(database, {job_type: handle}, **ONLY_HINTS) as (jobs, _):
        await create(jobs, slots_of("a", 2), n=12, job_type=job_type)
        await all_ended(database)
        async with database.connection() as conn:
            assert await in_use(conn) == {"a": (0, 2)}
    assert running.most == 2


@pytest.mark.direct("needs LISTEN")
async def test_a_slot_that_one_worker_frees_wakes_another_that_has_a_job_for_it(database: Database) -> None:
    go_on = asyncio.Event()

    async def hold(_: AnyJob) -> Complete:
        await go_on.wait()
        return Complete()

    async def handle(_: AnyJob) -> Complete:
        return Complete()

    async with (
        working(database, {BOUND: hold}, **ONLY_HINTS) as (jobs, _),
        working(database, {OTHER: handle}, **ONLY_HINTS) as (others, _),
    ):
        await create(jobs, slots_of("a"))
        await until(lambda: _holds(database))
        (waiting,) = (await others.create_many([NewJob(OTHER, Bound(limits=[slots_of("a")]))])).ids
        go_on.set()
        assert (await ended(database, waiting)).state == "complete"


async def _holds(database: Database) -> bool:
    async with database.connection() as conn:
        return await in_use(conn) == {"a": (1, 1)}


async def test_a_worker_comes_back_by_itself_when_the_next_permit_is_due(database: Database) -> None:
    async def handle(_: AnyJob) -> Complete:
        return Complete()

    async with working(database, {BOUND: handle}, **ONLY_HINTS) as (jobs, _):
        await create(jobs, rate_of("a", 5.0, burst=1.0), n=4)
        await all_ended(database)
    async with database.connection() as conn:
        rows = await fetch(conn, "SELECT claimed_at FROM jobs.history ORDER BY claimed_at")
    first, *_, last = (row["claimed_at"] for row in rows)
    assert (last - first).total_seconds() >= 0.55, "three permits, one each 0.2 s"


async def test_it_does_so_for_groups_that_its_last_look_was_behind_of(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where more groups wait than one look steps over, the last look of a round knows only of the last of them."""
    monkeypatch.setattr(jobs_core.claim_limited, "GROUPS_AT_ONCE", 2)

    async def handle(_: AnyJob) -> Complete:
        return Complete()

    async with working(database, {BOUND: handle}, **ONLY_HINTS) as (jobs, _):
        for key in ("x", "y", "z"):
            await create(jobs, slots_of(key, 0))
        ids = await create(jobs, rate_of("a", 5.0, burst=1.0), n=3)
        assert (await ended(database, ids[-1])).state == "complete"


async def test_upkeep_finds_what_no_hint_told_of(database: Database) -> None:
    """As after a hint that was lost, or where this worker's code knows of no limits for the type."""
    known_here = JobType(BOUND.name, Bound)

    async def handle(_: AnyJob) -> Complete:
        return Complete()

    async with working(database, {known_here: handle}, poll_s=30.0, upkeep_s=0.1), Jobs(database, table()) as creator:
        (job_id,) = await create(creator, slots_of("a"))
        assert (await ended(database, job_id)).state == "complete"


@pytest.mark.parametrize("many", [NOTE, BOUND], ids=["ordinary jobs", "jobs with limits"])
async def test_neither_kind_waits_for_the_end_of_the_others_backlog(database: Database, many: JobType[Any]) -> None:
    order = list[str]()

    async def handle(job: AnyJob) -> Complete:
        order.append(job.job_type)
        await asyncio.sleep(0.002)
        return Complete()

    limits = {"limits": [slots_of("a", 5)]}
    async with working(database, {NOTE: handle, BOUND: handle}, slots=2, **ONLY_HINTS) as (jobs, _):
        await jobs.create_many([NewJob(many, limits if many is BOUND else {}) for _ in range(400)])
        await until(lambda: _begun(order))
        few = NOTE if many is BOUND else BOUND
        created = await jobs.create(few, limits if few is BOUND else {})
        await ended(database, created.id)
    assert order.index(few.name) < 350


async def most_held(database: Database, *, slots: int) -> int:
    """The most jobs that a worker held at any look, while it had jobs of both kinds to do."""
    most = 0

    async def handle(_: AnyJob) -> Complete:
        await asyncio.sleep(0.002)
        return Complete()

    async def look() -> bool:
        nonlocal most
        async with database.connection() as conn:
            held = await fetch(conn, "SELECT FROM jobs.jobs WHERE worker_id IS NOT NULL")
            most = max(most, len(held))
            return await fetch_one(conn, "SELECT FROM jobs.jobs LIMIT 1") is None

    async with working(database, {NOTE: handle, BOUND: handle}, slots=slots, **ONLY_HINTS) as (jobs, _):
        await jobs.create_many([NewJob(NOTE, {}), NewJob(BOUND, {"limits": [slots_of("a", 5)]})] * 150)
        await until(look)
    return most


async def test_both_kinds_together_are_never_claimed_for_more_runners_than_are_free(database: Database) -> None:
    assert await most_held(database, slots=4) <= 4


@pytest.mark.direct("needs LISTEN")
async def test_with_a_lock_for_each_kind_more_would_be_claimed_than_can_start(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unshared(LimitedClaims):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **{**named, "lock": asyncio.Lock()})

    monkeypatch.setattr(workers.shift, "LimitedClaims", Unshared)
    assert await most_held(database, slots=4) > 4


async def _begun(order: list[str]) -> bool:
    return len(order) > 5


async def test_where_nobody_uses_limits_no_worker_ever_looks_for_them(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def counting(*arguments: Any, **named: Any) -> Found:
        nonlocal looks
        looks += 1
        return await claim_limited(*arguments, **named)

    async def handle(_: AnyJob) -> Complete:
        return Complete()

    monkeypatch.setattr(workers.limited_claims, "claim_limited", counting)
    handlers = {NOTE: handle, BRIEF_NOTE: handle, BOUND: handle}
    async with working(database, handlers, poll_s=0.05, upkeep_s=0.05) as (jobs, worker):
        await jobs.create_many([NewJob(NOTE, Note())] * 20 + [NewJob(BRIEF_NOTE, Note())] * 20)
        await all_ended(database)
        assert worker._shift is not None
        jobs.notifier.wake([Ready("default", NOTE.name)])
        await asyncio.sleep(0.3)  # several polls and rounds of upkeep, none of which may lead to a look
        assert looks == 0
        await create(jobs, slots_of("a"))
        await all_ended(database)
        assert looks > 0
