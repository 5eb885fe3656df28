"""Limits by the queue's verbs: who gets slots, who gives them back, and what changing a limit does."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import fields
from datetime import timedelta

import pytest

import jobs_core.limits
from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    Database,
    Fail,
    Job,
    Jobs,
    Limit,
    LimitInUse,
    NewJob,
    Retry,
    Snooze,
    claim_limited,
    execute,
    fetch,
    statement,
)
from jobs_core.claim import any_ready, claim, start
from jobs_core.declare import declare_types
from jobs_core.leases import register, retire
from jobs_core.limit import LEAST_PER_S, MOST_PER_S, MOST_SLOTS
from jobs_core.limits import find_limit, forget_limits, list_limits, remove_limit, set_limit
from jobs_core.outcomes import Outcome
from jobs_core.settle import settle
from jobs_core.suspects import claim_alone
from jobs_core.upkeep import look, put_back_strays, rescue
from jobs_core.wake import Ready
from tests.support.job_types import NOTE, Note
from tests.support.limits import (
    BOUND,
    BRIEF_BOUND,
    LANE_BOUND,
    claim_all,
    claim_once,
    create,
    in_use,
    rate_of,
    slots_of,
    table,
    wrong,
)
from tests.support.sql_create import create_by_sql

HERE = Ready("default", BOUND.name)


@pytest.fixture
async def jobs(database: Database) -> AsyncIterator[Jobs]:
    async with Jobs(database, table()) as creator:
        yield creator


def ids_of(jobs: list[AnyJob]) -> list[int]:
    return [job.id for job in jobs]


async def end(conn: Connection, job: AnyJob, outcome: Outcome | None = None) -> tuple[Ready, ...]:
    return (await settle(conn, job, outcome or Complete(), BOUND)).ready


async def test_no_more_are_claimed_than_the_key_has_slots_and_one_that_ends_makes_room_for_the_next(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    ids = await create(jobs, slots_of("a", 2), n=4)
    first, second = await claim_all(conn, worker_id)
    assert [first.id, second.id] == ids[:2]
    assert (await claim_once(conn, worker_id)).again_in_s is None, "only a slot that is freed can help"
    assert await end(conn, first) == (HERE,)
    assert ids_of(await claim_all(conn, worker_id)) == ids[2:3]
    assert await in_use(conn) == {"a": (2, 2)}
    assert await wrong(conn) == {}


async def test_ordinary_claims_and_looks_see_nothing_of_jobs_with_limits(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await create(jobs, slots_of("a"))
    mine = {"queues": ["default"], "job_types": [BOUND.name]}
    assert not await any_ready(conn, **mine)
    assert (await look(conn)).limited
    assert await claim(conn, worker_id=worker_id, slots=10, **mine) == []
    await claim_all(conn, worker_id)
    assert not (await look(conn)).limited


async def test_keys_do_not_stand_in_each_others_way_and_priority_goes_first_among_all(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    later = await create(jobs, slots_of("a"), n=2, priority=3)
    first = await create(jobs, slots_of("b"), n=2, priority=0)
    assert ids_of(await claim_all(conn, worker_id, slots=1)) == first[:1]
    assert ids_of(await claim_all(conn, worker_id)) == later[:1]


async def test_a_heavy_job_takes_as_many_slots_as_it_weighs_and_is_overtaken_by_nobody(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    light, heavy, behind = [await create(jobs, slots_of("a", 3, weight)) for weight in (1, 3, 1)]
    (running,) = await claim_all(conn, worker_id)
    assert running.id == light[0]
    assert (await claim_once(conn, worker_id)).jobs == [], "who stands behind the heavy one waits with it"
    await end(conn, running)
    (running,) = await claim_all(conn, worker_id)
    assert (running.id, await in_use(conn)) == (heavy[0], {"a": (3, 3)})
    await end(conn, running)
    assert ids_of(await claim_all(conn, worker_id)) == behind


async def test_a_job_that_is_heavier_than_its_limit_takes_all_there_is(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    heavy = await create(jobs, slots_of("a", 2, weight=7))
    assert ids_of(await claim_all(conn, worker_id)) == heavy
    assert await in_use(conn) == {"a": (2, 2)}


async def test_a_job_of_two_keys_has_slots_of_both_or_none_and_keeps_neither_from_others(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    (holder,) = await create(jobs, slots_of("b"))
    (of_b,) = await claim_all(conn, worker_id)
    (both,) = await create(jobs, slots_of("a"), slots_of("b"))
    (other,) = await create(jobs, slots_of("a"))
    (of_a,) = await claim_all(conn, worker_id)
    assert (of_b.id, of_a.id) == (holder, other)
    assert await end(conn, of_b) == (HERE,)
    assert await claim_all(conn, worker_id) == [], "now the other one is short"
    assert await in_use(conn) == {"a": (1, 1), "b": (0, 1)}
    await end(conn, of_a)
    assert ids_of(await claim_all(conn, worker_id)) == [both]
    assert await in_use(conn) == {"a": (1, 1), "b": (1, 1)}
    assert await wrong(conn) == {}


async def test_a_heavy_job_is_overtaken_by_none_that_needs_the_key_it_waits_for_and_by_others_that_do_not(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await create(jobs, slots_of("b", 2))
    (running,) = await claim_all(conn, worker_id)
    (heavy,) = await create(jobs, slots_of("a", 5), slots_of("b", 2, weight=2))
    (light,) = await create(jobs, slots_of("b", 2))
    (of_a,) = await create(jobs, slots_of("a", 5))
    assert ids_of(await claim_all(conn, worker_id)) == [of_a]
    await end(conn, running)
    (job,) = await claim_all(conn, worker_id)
    assert job.id == heavy
    await end(conn, job)
    assert ids_of(await claim_all(conn, worker_id)) == [light]


async def test_jobs_that_need_a_key_which_is_full_are_not_touched_by_looks(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    """Moved to wait under the key that is short, each would be written anew whenever one of its keys was freed."""
    await set_limit(conn, Limit("a", slots=5))
    await set_limit(conn, Limit("b", slots=0))
    await create(jobs, slots_of("a", 5), slots_of("b"), n=500)
    rows = "SELECT sum(hashtext(xmin::text || ctid::text)) AS versions FROM jobs.jobs"
    before = await fetch(conn, rows)
    assert await claim_all(conn, worker_id) == []
    assert await fetch(conn, rows) == before


Ending = Callable[[Connection, int, AnyJob], Awaitable[object]]


def by(outcome: Outcome) -> Ending:
    async def settled(conn: Connection, _: int, job: AnyJob) -> None:
        await end(conn, job, outcome)

    return settled


async def by_rescue(conn: Connection, worker_id: int, _: AnyJob) -> None:
    await retire(conn, worker_id)
    await rescue(conn)


async def by_rescue_of_a_started_run(conn: Connection, worker_id: int, job: AnyJob) -> None:
    await start(conn, job)
    await by_rescue(conn, worker_id, job)


async def by_the_crash_limit(conn: Connection, worker_id: int, job: AnyJob) -> None:
    await start(conn, job)
    await execute(conn, "UPDATE jobs.jobs SET limited_alone = true, alone_lost_count = 2")
    await by_rescue(conn, worker_id, job)


async def as_a_stray(conn: Connection, worker_id: int, _: AnyJob) -> None:
    await put_back_strays(conn, worker_id, [])


ENDINGS = {
    "complete": by(Complete()),
    "fail": by(Fail("no")),
    "retry": by(Retry("not yet")),
    "retry at once": by(Retry("not yet", after=timedelta(0))),
    "snooze": by(Snooze(timedelta(hours=1))),
    "drain": by(Snooze(timedelta(0), because="drained")),
    "rescue": by_rescue,
    "rescue of a started run": by_rescue_of_a_started_run,
    "crash limit": by_the_crash_limit,
    "stray": as_a_stray,
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_however_a_claim_ends_its_slots_are_free(
    jobs: Jobs, conn: Connection, worker_id: int, ending: str
) -> None:
    await create(jobs, slots_of("a", 3, weight=2), slots_of("b"))
    (job,) = await claim_all(conn, worker_id)
    assert await in_use(conn) == {"a": (2, 3), "b": (1, 1)}
    await ENDINGS[ending](conn, worker_id, job)
    assert await in_use(conn) == {"a": (0, 3), "b": (0, 1)}
    assert await wrong(conn) == {}


async def test_a_settle_that_is_rolled_back_frees_nothing(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    async def refuse(_: Connection) -> None:
        raise RuntimeError("not like this")

    await create(jobs, slots_of("a"))
    (job,) = await claim_all(conn, worker_id)
    with pytest.raises(RuntimeError):
        await end(conn, job, Complete(also=refuse))
    assert await in_use(conn) == {"a": (1, 1)}


async def test_a_limit_that_is_lowered_ends_nothing_and_counts_as_slots_are_freed(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await create(jobs, slots_of("a", 3), n=6)
    first, second, third = await claim_all(conn, worker_id)
    await set_limit(conn, Limit("a", slots=1))
    assert await in_use(conn) == {"a": (3, 3)}
    for job in (third, first):
        await end(conn, job)
        assert await claim_all(conn, worker_id) == []
    await end(conn, second)
    assert len(await claim_all(conn, worker_id)) == 1
    assert await in_use(conn) == {"a": (1, 1)}


async def test_a_limit_is_lowered_right_whichever_of_its_slots_are_held(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await create(jobs, slots_of("a", 5), n=9)
    *ended, fourth, fifth = await claim_all(conn, worker_id)
    for job in ended:
        await end(conn, job)
    await set_limit(conn, Limit("a", slots=3))
    assert len(await claim_all(conn, worker_id)) == 1
    await set_limit(conn, Limit("a", slots=1))
    await set_limit(conn, Limit("a", slots=4))
    assert await in_use(conn) == {"a": (3, 4)}
    await end(conn, fifth)
    await end(conn, fourth)
    assert len(await claim_all(conn, worker_id)) == 3
    assert await wrong(conn) == {}


async def test_a_limit_that_is_raised_or_was_nought_lets_waiting_jobs_go_and_says_where_they_are(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await set_limit(conn, Limit("a", slots=0))
    ids = await create(jobs, slots_of("a", 5), n=3)
    assert await claim_all(conn, worker_id) == []
    assert await set_limit(conn, Limit("a", slots=2)) == {HERE}
    assert ids_of(await claim_all(conn, worker_id)) == ids[:2]


async def test_a_key_that_is_removed_is_made_anew_as_its_type_says_but_not_while_it_is_held(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await set_limit(conn, Limit("a", slots=1))
    await create(jobs, slots_of("a", 2), n=3)
    (running,) = await claim_all(conn, worker_id)
    with pytest.raises(LimitInUse, match="jobs hold slots of 'a'"):
        await remove_limit(conn, "a")
    await end(conn, running)
    assert await remove_limit(conn, "a") == {HERE}
    assert await remove_limit(conn, "a") is None
    assert await in_use(conn) == {}
    assert len(await claim_all(conn, worker_id)) == 2
    assert await in_use(conn) == {"a": (2, 2)}


async def test_only_keys_that_nobody_uses_and_nobody_set_are_forgotten(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await set_limit(conn, Limit("set", slots=1))
    for key in ("held", "waited for", "idle", "young"):
        await create(jobs, slots_of(key))
    running = {job.id: job for job in await claim_all(conn, worker_id)}
    for job in list(running.values())[1:]:
        await end(conn, job)
    await create(jobs, slots_of("waited for"))
    aged = "UPDATE jobs.limits SET created_at = now() - interval '2 days' WHERE key <> 'young'"
    await execute(conn, aged)
    assert await forget_limits(conn) == 1
    assert [view.key for view in await list_limits(conn)] == ["held", "set", "waited for", "young"]
    assert set(await in_use(conn)) == {"held", "set", "waited for", "young"}
    ids = await create(jobs, slots_of("idle"))
    assert set(ids) <= set(ids_of(await claim_all(conn, worker_id)))


async def test_a_suspect_with_limits_runs_alone_and_only_with_its_slots(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    first, second = await create(jobs, slots_of("a"), n=2)
    (job,) = await claim_all(conn, worker_id)
    await by_rescue_of_a_started_run(conn, worker_id, job)
    runner = await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
    mine = {"worker_id": runner, "queues": ["default"], "job_types": [BOUND.name]}
    assert (await look(conn, queues=["default"], job_types=[BOUND.name])).suspects == 1
    (other,) = await claim_all(conn, runner)
    assert (other.id, await claim_alone(conn, **mine)) == (second, None)
    await end(conn, other)
    suspect = await claim_alone(conn, **mine)
    assert suspect is not None
    assert (suspect.id, await in_use(conn)) == (first, {"a": (1, 1)})
    await end(conn, suspect)
    assert await in_use(conn) == {"a": (0, 1)}


async def test_only_the_head_of_a_lane_takes_a_slot(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    ids = await create(jobs, slots_of("a", 5), n=3, job_type=LANE_BOUND, lane="one")
    for job_id in ids:
        (job,) = await claim_all(conn, worker_id)
        assert (job.id, await in_use(conn)) == (job_id, {"a": (1, 5)})
        await settle(conn, job, Complete(), LANE_BOUND)


async def test_a_job_for_later_waits_for_its_time_before_it_waits_for_a_slot(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await create(jobs, slots_of("a"), scheduled_for=timedelta(hours=1))
    assert await claim_all(conn, worker_id) == []
    assert not (await look(conn)).limited


async def test_a_look_at_more_keys_than_it_steps_over_goes_on_behind_them(
    jobs: Jobs, conn: Connection, worker_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_limited, "GROUPS_AT_ONCE", 2)
    for key in "abcdef":
        await set_limit(conn, Limit(key, slots=0 if key < "e" else 1))
    ids = [job_id for key in "fedcba" for job_id in await create(jobs, slots_of(key))]
    assert ids_of(await claim_all(conn, worker_id)) == ids[:2]
    assert (await claim_once(conn, worker_id)).after == '["b"]'
    assert await claim_all(conn, worker_id) == []


async def test_jobs_are_claimed_with_the_columns_that_a_job_is_made_of(conn: Connection) -> None:
    """By position; what its run sets comes after them."""
    nothing = dict.fromkeys(("ids", "give_up_s", "ready_seqs", "slot_keys", "slot_ns", "slot_jobs"), "{}")
    ran = await conn.execute(statement("jobs_core", "job/claim_limited"), {"worker_id": 1, **nothing})
    assert ran.description is not None
    assert [column.name for column in ran.description] == [field.name for field in fields(Job)][: len(ran.description)]


async def test_a_worker_whose_lease_is_lost_takes_no_slot(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    await create(jobs, slots_of("a"))
    await claim_once(conn, worker_id)  # makes the key
    await retire(conn, worker_id)
    assert (await claim_once(conn, worker_id)).jobs == []
    assert await in_use(conn) == {"a": (0, 1)}


async def test_a_key_tells_what_it_limits_who_holds_it_and_how_many_wait(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    ids = await create(jobs, slots_of("a", 2), n=5)
    await claim_all(conn, worker_id)
    await set_limit(conn, Limit("b", rate_per_s=2.0))
    first, second = await list_limits(conn)
    assert (first.key, first.slots, first.in_use, first.waiting, first.by_hand) == ("a", 2, 2, 3, False)
    assert (first.held_by, first.rate_per_s, first.permits) == (ids[:2], None, None)
    assert (second.key, second.slots, second.rate_per_s, second.burst, second.by_hand) == ("b", None, 2.0, 1.2, True)
    assert [view.key for view in await list_limits(conn, after="a")] == ["b"]
    assert await find_limit(conn, "c") is None


async def test_jobs_of_brief_types_and_of_types_without_limits_may_share_a_key_or_none(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await create(jobs, slots_of("a"))
    await create(jobs, slots_of("a"), job_type=BRIEF_BOUND)
    free = (await jobs.create_many([NewJob(NOTE, Note()), NewJob(BOUND, {})])).ids
    assert len(await claim_all(conn, worker_id)) == 1
    names = [NOTE.name, BOUND.name]
    assert ids_of(await claim(conn, worker_id=worker_id, queues=["default"], job_types=names, slots=9)) == list(free)


async def test_a_job_without_a_permit_waits_until_one_has_fallen_into_the_bucket(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    ids = await create(jobs, rate_of("a", 0.5), n=5)
    assert ids_of(await claim_all(conn, worker_id)) == ids[:1]
    wait_s = (await claim_once(conn, worker_id)).again_in_s
    assert wait_s is not None
    assert 1.5 < wait_s <= 2.0
    await execute(conn, "UPDATE jobs.limits SET filled_at = filled_at - interval '2 s'")
    assert ids_of(await claim_all(conn, worker_id)) == ids[1:2]
    await execute(conn, "UPDATE jobs.limits SET filled_at = filled_at - interval '1 hour'")
    assert ids_of(await claim_all(conn, worker_id)) == ids[2:3], "what nobody fetched does not gather past the burst"


async def test_the_least_rate_that_a_limit_may_have_stops_no_claim_of_other_keys(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    """A look works out when the next permits are due; what Postgres could not hold would fail it, for all."""
    heavy = {**rate_of("a", LEAST_PER_S, MOST_PER_S), "weight": MOST_SLOTS}
    await create(jobs, heavy, n=2)
    (other,) = await create(jobs, slots_of("b"))
    assert other in ids_of(await claim_all(conn, worker_id))
    assert (await claim_once(conn, worker_id)).again_in_s is not None


async def test_a_clock_that_was_set_back_keeps_nobody_from_a_permit(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    ids = await create(jobs, rate_of("a", 0.5), n=3)
    assert ids_of(await claim_all(conn, worker_id)) == ids[:1]
    await execute(conn, "UPDATE jobs.limits SET filled_at = filled_at + interval '3 h'")
    assert ids_of(await claim_all(conn, worker_id)) == ids[1:2], "and no more than the burst"


async def test_keys_are_made_together_whichever_way_their_rates_are_written(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    """SQL writes 2 for 2.0, and no array takes both."""
    whole, half = (f'{{"{key}": {{"rate_per_s": {rate}}}}}' for key, rate in (("whole", 2), ("half", 0.5)))
    await declare_types(conn, jobs.table.job_types)
    ids = [(await create_by_sql(conn, "bound", limits=limits))[0] for limits in (whole, half)]
    ids += await create(jobs, rate_of("ours", 2.0))
    assert ids_of(await claim_all(conn, worker_id)) == ids


async def test_many_keys_of_many_slots_are_not_made_all_at_once(
    jobs: Jobs, conn: Connection, worker_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker claims nothing else meanwhile."""
    monkeypatch.setattr(jobs_core.limits, "MOST_SLOTS", 5)
    for key, slots in (("a", 9), ("b", 2), ("c", 3), ("d", 1)):
        await create(jobs, slots_of(key, slots))
    made = list[dict[str, tuple[int, int]]]()
    for _ in range(3):
        assert (await claim_once(conn, worker_id)).again_in_s == 0.0
        made.append(await in_use(conn))
    assert [set(keys) for keys in made] == [{"a"}, {"a", "b", "c"}, {"a", "b", "c", "d"}]
    assert len(await claim_all(conn, worker_id)) == 4


async def test_slots_and_a_rate_of_one_key_bound_it_both(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    both = {"key": "a", "slots": 2, "rate_per_s": 0.001, "burst": 3.0}
    await create(jobs, both, n=6)
    (first,) = await claim_all(conn, worker_id)
    await execute(conn, "UPDATE jobs.limits SET permits = 3")
    (second,) = await claim_all(conn, worker_id)
    assert (await claim_once(conn, worker_id)).again_in_s is None, "there are permits, and no slot"
    for job in (first, second):
        await end(conn, job)
    assert len(await claim_all(conn, worker_id)) == 2
    assert await in_use(conn) == {"a": (2, 2)}
