"""Explain: every state of a job has its reasons, the nearest first, and the door tells them."""

from datetime import timedelta

from jobs_core import Complete, Connection, Database, Jobs, JobType, Limit, NewJob, Retry, Wait, execute, fetch_one
from jobs_core.ageing import age
from jobs_core.claim import start
from jobs_core.claim_limited import claim_limited
from jobs_core.explain import explain
from jobs_core.leases import register, retire
from jobs_core.pauses import pause
from jobs_core.settle import Completed, end_many, settle
from tests.database.conftest import ClaimAll
from tests.support import turns
from tests.support.job_types import LANE_NOTE, NOTE, Note
from tests.support.web import calling, door, error_of

HOUR = timedelta(hours=1)


async def texts(conn: Connection, job_id: int) -> list[str]:
    reasons = await explain(conn, job_id)
    assert reasons is not None
    return [why.text for why in reasons]


async def served(conn: Connection) -> int:
    return await register(conn, queues=["default"], job_types=["note", "lane_note"], slots=1, lease_s=600)


async def test_a_job_that_is_not_due_says_when_it_is_and_what_went_wrong_before(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    later = await jobs.create(NOTE, {}, scheduled_for=timedelta(minutes=4, seconds=0.5))
    assert await texts(conn, later.id) == ["it is due in 4 min"]
    await jobs.create(NOTE, {})
    (job,) = await claim_all()
    await settle(conn, job, Retry("no answer", after=HOUR), NOTE)
    assert await texts(conn, job.id) == ["it is due in 1 h, after 1 retries: no answer"]


async def test_a_ready_job_says_how_many_are_before_it_or_that_nobody_serves_it(jobs: Jobs, conn: Connection) -> None:
    first, _, third = [(await jobs.create(NOTE, {})).id for _ in range(3)]
    assert await texts(conn, first) == [
        "no live worker serves note on queue default",
        "it is ready: the next of its type",
    ]
    await served(conn)
    assert await texts(conn, third) == ["it is ready: 2 of its type are before it"]


async def test_a_blocked_job_is_explained_by_the_head_of_its_lane(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    head, *_, last = [(await jobs.create(LANE_NOTE, {"lane": "turn:7"})).id for _ in range(4)]
    (job,) = await claim_all()
    await settle(conn, job, Wait("approved:31"), LANE_NOTE)
    behind, why = await texts(conn, last)
    assert behind == f"it is behind job {head} in lane turn:7, 2 more between them"
    assert why.startswith(f"job {head}: it waits for the event approved:31 since ")


async def test_a_held_job_says_who_runs_it_and_whether_that_one_is_gone(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await jobs.create(NOTE, {})
    worker_id = await served(conn)
    (job,) = await claim_all(worker_id)
    assert (await texts(conn, job.id))[0].startswith(f"it is claimed and about to run on worker {worker_id} (")
    await start(conn, job)
    await jobs.cancel(job.id)
    asked, runs = await texts(conn, job.id)
    assert asked.startswith("somebody asked for its end at ")
    assert runs.startswith(f"it runs on worker {worker_id} (")
    await retire(conn, worker_id)
    assert (await texts(conn, job.id))[1] == f"its worker {worker_id} is gone; it is taken over at the next upkeep"


async def test_who_waits_for_children_or_for_a_time_says_so(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    await jobs.create_many([NewJob(NOTE, {}) for _ in range(3)])
    parent, sleeper, child = await claim_all()
    await execute(
        conn, "UPDATE jobs.jobs SET parent_id = %(id)s WHERE id = %(child)s", {"id": parent.id, "child": child.id}
    )
    await settle(conn, parent, Wait("jobs:children"), NOTE)
    await settle(conn, sleeper, Wait(until=timedelta(days=1, hours=2, seconds=0.5)), NOTE)
    assert (await texts(conn, parent.id))[0].startswith("it waits for 1 of its children since ")
    assert (await texts(conn, sleeper.id))[0].startswith("it sleeps for 1 d 2 h, until ")


async def test_the_door_tells_the_same_and_how_a_job_ended(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    await jobs.create(NOTE, {})
    (job,) = await claim_all()
    await settle(conn, job, Complete(), NOTE)
    async with calling(door(jobs)) as client:
        (why,) = (await client.get(f"/api/jobs/{job.id}/explain")).json()["reasons"]
        assert (why["kind"], why["about"]) == ("ended", {"state": "complete"})
        assert error_of(await client.get("/api/jobs/9/explain"), 404)["code"] == "no_such_job"


async def test_a_pause_and_a_full_limit_are_named(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    limited = JobType("limited", Note, limits=lambda _: [Limit("project:acme", slots=1)])
    jobs.table.declare(limited)
    first, second = [(await jobs.create(limited, {})).id for _ in range(2)]
    names = {"queues": ["default"], "job_types": ["limited"], "give_up_after_s": {}, "alone": False, "after": ""}
    for _ in range(2):  # the first one makes the key
        await claim_limited(conn, worker_id=worker_id, slots=5, **names)
    await pause(conn, queue="default", reason="the API is down", set_by="ann")
    said = await texts(conn, second)
    assert "queue default is paused by ann: the API is down" in said
    assert f"limit project:acme: 1 of 1 in use, held by {first}" in said


async def test_a_ready_job_says_about_when_it_starts_by_how_fast_those_before_it_went(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    worker_id = await served(conn)
    await jobs.create_many([NewJob(NOTE, {}) for _ in range(30)])
    *_, last = [(await jobs.create(NOTE, {})).id for _ in range(2)]
    assert await texts(conn, last) == ["it is ready: 31 of its type are before it"], "none was claimed yet"
    await execute(conn, "UPDATE jobs.jobs SET created_at = now() - interval '60 s'")
    ended = await claim_all(worker_id, slots=15)
    for job in ended:
        await settle(conn, job, Complete(), NOTE)
    await claim_all(worker_id, slots=5)
    reasons = await explain(conn, last)
    assert reasons is not None
    (why,) = reasons
    assert why.text.startswith("it is ready: 11 of its type are before it, about ")
    assert 36 <= why.about["starts_in_s"] < 60, "20 in 60 s"
    await pause(conn, queue="default", set_by="ann")
    paused, ready = await texts(conn, last)
    assert paused == "queue default is paused by ann"
    assert ready == "it is ready: 11 of its type are before it"


async def test_what_went_while_none_had_to_wait_says_nothing_of_when_a_job_starts(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    worker_id = await served(conn)
    await jobs.create_many([NewJob(NOTE, {}) for _ in range(3)])
    for job in await claim_all(worker_id):
        await settle(conn, job, Complete(), NOTE)
    created = await jobs.create(NOTE, {})
    assert await texts(conn, created.id) == ["it is ready: the next of its type"]


async def test_a_type_of_which_nothing_is_kept_says_nothing_of_when_a_job_starts(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    """Those that ended are not to be seen, and those that run alone would say that they go slowly."""
    worker_id = await served(conn)
    await jobs.create_many([NewJob(NOTE, {}) for _ in range(3)])
    await execute(conn, "UPDATE jobs.jobs SET created_at = now() - interval '60 s'")
    ended, _ = await claim_all(worker_id, slots=2)
    await end_many(conn, [Completed(ended, None, "none")])
    last = await fetch_one(conn, "SELECT max(id) AS id FROM jobs.jobs")
    assert last is not None
    assert await texts(conn, last["id"]) == ["it is ready: the next of its type"]


async def test_a_job_that_takes_turns_says_how_many_come_before_it_at_most(
    database: Database, conn: Connection
) -> None:
    await register(conn, queues=["default"], job_types=["errand"], slots=1, lease_s=600)
    async with Jobs(database, turns.table()) as jobs:
        ids = await turns.create(jobs, *"AAABC")
        await turns.create(jobs, "D", priority=1)
        await turns.create(jobs, "E", job_type=turns.LIMITED_ERRAND)
    assert await texts(conn, ids[2]) == [
        "it is ready: 2 of A are before it, and it takes turns with 2 others: at most 8 of the jobs that wait now are before it"
    ]
    assert await texts(conn, ids[3]) == [
        "it is ready: the next of B, and it takes turns with 2 others: at most 2 of the jobs that wait now are before it"
    ]
    await execute(conn, "DELETE FROM jobs.jobs WHERE id > %(first)s", {"first": ids[0]})
    assert await texts(conn, ids[0]) == ["it is ready: the next of A"]


async def test_a_job_that_went_up_by_waiting_says_so(jobs: Jobs, conn: Connection) -> None:
    await served(conn)
    created = await jobs.create(NOTE, {}, priority=3)
    await age(conn, {"note": HOUR}, queues=["default"])
    await execute(conn, "UPDATE jobs.ready_times SET at = at - interval '61 min'")
    await age(conn, {"note": HOUR}, queues=["default"])
    assert await texts(conn, created.id) == [
        "it has gone up from class 3 to class 2 by waiting",
        "it is ready: the next of its type",
    ]
