"""Lanes on a real Postgres: first in, first out, one at a time, and none stranded."""

from datetime import timedelta

import pytest

from jobs_core import Complete, Connection, Database, Fail, Jobs, NewJob, Retry, Snooze, execute, fetch
from jobs_core.settle import settle
from jobs_core.upkeep import promote_due
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll
from tests.support.job_types import LANE_NOTE


async def texts(claim_all: ClaimAll) -> list[str]:
    return [job.input["text"] for job in await claim_all()]


async def create(jobs: Jobs, lane: str, *words: str) -> None:
    for word in words:
        await jobs.create(LANE_NOTE, {"lane": lane, "text": word})


async def test_only_the_head_of_a_lane_is_ready(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    await create(jobs, "a", "a1", "a2", "a3")
    await create(jobs, "b", "b1", "b2")
    for ended in (Complete(), Fail("no")):
        heads = await claim_all()
        assert len(heads) == 2
        assert await claim_all() == []
        for head in heads:
            await settle(conn, head, ended, LANE_NOTE)
    assert await texts(claim_all) == ["a3"]


async def test_a_lane_that_was_empty_is_used_again(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    for _ in range(3):
        await create(jobs, "a", "x")
        (head,) = await claim_all()
        await settle(conn, head, Complete(), LANE_NOTE)
    assert await fetch(conn, "SELECT next_pos, head_pos FROM jobs.lanes") == [{"next_pos": 4, "head_pos": None}]


async def test_a_bulk_create_joins_lanes_in_the_order_given(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    await create(jobs, "a", "first")
    rows = [NewJob(LANE_NOTE, {"lane": lane, "text": f"{lane}{n}"}) for n in range(3) for lane in ("b", "a")]
    await jobs.create_many(rows)
    order = list[str]()
    while heads := await claim_all():
        for head in heads:
            order.append(head.input["text"])
            await settle(conn, head, Complete(), LANE_NOTE)
    assert [text for text in order if text[0] != "b"] == ["first", "a0", "a1", "a2"]
    assert [text for text in order if text[0] == "b"] == ["b0", "b1", "b2"]


async def test_a_retry_and_a_snooze_keep_the_place_in_the_lane(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await create(jobs, "a", "a1", "a2")
    for outcome in (Retry("flaky"), Snooze(timedelta(minutes=1))):
        (head,) = await claim_all()
        await settle(conn, head, outcome, LANE_NOTE)
        assert await claim_all() == []
        await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now() WHERE scheduled_for IS NOT NULL")
        await promote_due(conn)
    assert await texts(claim_all) == ["a1"]


async def test_a_job_for_the_future_joins_its_lane_when_it_is_due(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await jobs.create(LANE_NOTE, {"lane": "a", "text": "later"}, scheduled_for=timedelta(hours=1))
    await jobs.create(LANE_NOTE, {"lane": "new", "text": "later in a new lane"}, scheduled_for=timedelta(hours=1))
    await create(jobs, "a", "a1", "a2")
    assert await texts(claim_all) == ["a1"]
    await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now() WHERE scheduled_for IS NOT NULL")
    due_in_s, queues = await promote_due(conn)
    assert (due_in_s, queues) == (None, {Ready("default", LANE_NOTE.name)})
    (head,) = await claim_all()
    assert head.input["text"] == "later in a new lane"
    rows = await fetch(conn, "SELECT input ->> 'text' AS text, state FROM jobs.jobs WHERE lane = 'a' ORDER BY lane_pos")
    assert [tuple(row.values()) for row in rows] == [("a1", "claimed"), ("a2", "blocked"), ("later", "blocked")]


async def test_a_create_waits_while_the_head_of_its_lane_is_being_ended(
    jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll
) -> None:
    """Or it would queue behind a job that is gone, and the settle would not see it to promote it."""
    await create(jobs, "a", "a1")
    (head,) = await claim_all()

    async def create_in_between(_: Connection) -> None:
        with pytest.raises(Exception, match="lock timeout"):
            async with database.transaction() as other:
                await execute(other, "SET LOCAL lock_timeout = '50ms'")
                await jobs.create(LANE_NOTE, {"lane": "a", "text": "a2"}, conn=other)

    await settle(conn, head, Complete(also=create_in_between), LANE_NOTE)
    await create(jobs, "a", "a2")
    assert await texts(claim_all) == ["a2"]
