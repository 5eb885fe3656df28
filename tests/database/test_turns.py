"""Turns: jobs of one type, queue and class go round by whose they are, whatever the order in which they came."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

import jobs_core.claim_limited
from jobs_core import Complete, Connection, Database, Jobs, NewJob, Snooze, execute, fetch
from jobs_core.claim import start
from jobs_core.leases import register, retire
from jobs_core.limits import set_limit
from jobs_core.pauses import pause, resume
from jobs_core.settle import settle
from jobs_core.turns import forget_fair_keys
from jobs_core.upkeep import rescue
from tests.support.job_types import NOTE
from tests.support.limits import in_use
from tests.support.mutants import BY_ARRIVAL, mutated
from tests.support.turns import (
    ERRAND,
    LANE_ERRAND,
    LIMITED_ERRAND,
    OF_PROJECT,
    OF_USER,
    Errand,
    claim_turns,
    create,
    in_turn,
    table,
)

CREDIT = ("SET served = t.drawn", "SET served = f.served + 1")


@pytest.fixture
async def jobs(database: Database) -> AsyncIterator[Jobs]:
    """Creates jobs that take turns."""
    async with Jobs(database, table()) as creator:
        yield creator


@pytest.mark.parametrize(("slots", "claimed"), [(1, "ABCABAAA"), (3, "ABCAABAA"), (8, "AAAAABBC")])
async def test_users_go_round_however_many_are_claimed_at_once(
    jobs: Jobs, conn: Connection, worker_id: int, slots: int, claimed: str
) -> None:
    """Of one claim we see who is in it, not in which order."""
    await create(jobs, *"AAAAA", *"BB", "C")
    assert await in_turn(conn, worker_id, -(-8 // slots), slots) == claimed


async def test_by_arrival_a_newcomer_would_wait_for_all(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    """The mutant of the test above."""
    await create(jobs, *"AAAAA", *"BB", "C")
    with mutated(*BY_ARRIVAL):
        assert await in_turn(conn, worker_id, 8) == "AAAAABBC"


async def test_a_newcomer_is_next(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    await create(jobs, *"AAAA")
    assert await in_turn(conn, worker_id, 2) == "AA"
    await create(jobs, "B")
    assert await in_turn(conn, worker_id, 3) == "BAA"


IDLE_BEFORE = "AAABBBBBB"


async def test_who_was_idle_has_no_credit_for_it(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    """B was served twenty times while A was away; then they go by turns."""
    await create(jobs, "A", *"B" * 20)
    await in_turn(conn, worker_id, 21)
    await create(jobs, *"AAAA", *"BBBB")
    assert await in_turn(conn, worker_id, 8) == "ABABABAB"


async def test_by_a_count_of_what_each_was_served_who_was_idle_would_keep_all_others_waiting(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    """The mutant of the test above."""
    await create(jobs, "A", *"B" * 20)
    with mutated(CREDIT):
        await in_turn(conn, worker_id, 21)
        await create(jobs, *"AAAA", *"BBBB")
        assert await in_turn(conn, worker_id, 4) == "AAAA"


async def flooded(jobs: Jobs, conn: Connection, worker_id: int) -> str:
    """Who is claimed while a new user comes for each claim, 300 readiness numbers after the one before; A was there first."""
    await create(jobs, *"AA")
    claimed = await in_turn(conn, worker_id, 1)
    for user in "abcdefgh":
        await execute(conn, "SELECT setval('jobs.ready_seq', (SELECT last_value + 300 FROM jobs.ready_seq))")
        await create(jobs, user)
        claimed += await in_turn(conn, worker_id, 1)
    return claimed


async def test_a_stream_of_newcomers_keeps_nobody_waiting_for_ever(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    assert await flooded(jobs, conn, worker_id) == "AabcAdefg"


async def test_were_newcomers_always_next_they_would(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    """The mutant of the test above."""
    with mutated(("arrived - %(ahead)s", "arrived - 1000000000"), ("ready_seq - %(ahead)s", "ready_seq - 1000000000")):
        assert await flooded(jobs, conn, worker_id) == "Aabcdefgh"


async def test_one_who_has_a_single_job_at_a_time_is_not_served_before_his_turn(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    """Each time A's only job is claimed, A has none left; the next that A creates is not a newcomer's."""
    await create(jobs, *"BBBB")
    claimed = ""
    for _ in range(3):
        await create(jobs, "A")
        claimed += await in_turn(conn, worker_id, 2)
    assert claimed in {"BABABA", "ABABAB", "ABBABA"}, "nobody twice before the other once more"
    assert "AA" not in claimed


async def test_classes_go_first_and_take_turns_each_for_itself(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    """Being served in an urgent class is no reason to wait in another, or a stream of urgent jobs would starve it there."""
    await create(jobs, *"AB", priority=3)
    await create(jobs, *"AAB", priority=1)
    assert await in_turn(conn, worker_id, 5) == "ABAAB"


async def test_queues_and_types_take_turns_each_for_itself(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    """Of two types each keeps its places among all by arrival, and gives them out by turns."""
    await create(jobs, *"AAB")
    await create(jobs, *"XXY", job_type=LIMITED_ERRAND)
    assert await in_turn(conn, worker_id, 6) == "ABAXYX"


async def test_nobody_is_a_user_too(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    await create(jobs, "A", "A", None, None)
    claimed = [job.input for _ in range(4) for job in await claim_turns(conn, worker_id)]
    assert ["A" in text for text in claimed] == [True, False, True, False]


@pytest.mark.parametrize(("job_type", "field"), [(OF_USER, "user_id"), (OF_PROJECT, "project_id")])
async def test_jobs_go_by_who_their_creator_says_they_are_for(
    jobs: Jobs, conn: Connection, worker_id: int, job_type: object, field: str
) -> None:
    ids = [
        (await jobs.create(job_type, {}, **{field: whose})).id  # type: ignore[arg-type]  # one of the two types
        for whose in ("ann", "ann", "bob", None)
    ]
    claimed = [job.id for _ in range(4) for job in await claim_turns(conn, worker_id)]
    assert claimed == [ids[0], ids[2], ids[3], ids[1]]


async def test_a_job_that_is_put_back_or_rescued_takes_another_turn(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    first = await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
    second = await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
    await create(jobs, "A", *"BB")
    (put_back,) = await claim_turns(conn, first)
    await settle(conn, put_back, Snooze(timedelta(0), because="drained"), ERRAND)
    assert await in_turn(conn, first, 2) == "BA"
    await retire(conn, first)
    ids, _ = await rescue(conn)
    assert len(ids) == 2
    assert await in_turn(conn, second, 3) == "BAB"


async def test_a_suspect_that_takes_turns_is_claimed_alone(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    from jobs_core.suspects import claim_alone

    await create(jobs, "A")
    (job,) = await claim_turns(conn, worker_id)
    await start(conn, job)
    await retire(conn, worker_id)
    await rescue(conn)
    other = await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
    assert await claim_turns(conn, other) == []
    alone = await claim_alone(conn, worker_id=other, queues=["default"], job_types=["errand"])
    assert alone is not None
    assert alone.id == job.id


async def test_a_job_without_limits_holds_no_slots_and_is_settled_like_any_other(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await create(jobs, "A")
    await create(jobs, "A", job_type=LIMITED_ERRAND, limits={"a": 1})
    await claim_turns(conn, worker_id, 2)  # makes the limit's key
    claimed = [job for _ in range(2) for job in await claim_turns(conn, worker_id, 2)]
    assert {job.job_type: job.limited for job in claimed} == {"errand": False, "limited_errand": True}


async def test_whose_turn_it_is_waits_for_no_slot_of_his_own(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    """A's limit is full: B goes on, and A comes first when a slot of it is free."""
    await create(jobs, *"AAA", job_type=LIMITED_ERRAND, limits={"a": 1})
    await create(jobs, *"BBB", job_type=LIMITED_ERRAND, limits={"b": 9})
    await claim_turns(conn, worker_id)  # makes the limits' keys
    (held,) = await claim_turns(conn, worker_id)
    assert await in_turn(conn, worker_id, 2) == "BB"
    await settle(conn, held, Complete(), LIMITED_ERRAND)
    assert await in_turn(conn, worker_id, 2) == "AB"
    assert await in_use(conn) == {"a": (1, 1), "b": (3, 9)}


async def test_slots_of_a_shared_limit_are_given_out_by_turns(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    await create(jobs, *"AAAA", *"BBBB", job_type=LIMITED_ERRAND, limits={"api": 4})
    await claim_turns(conn, worker_id, 8)  # makes the limit's key
    assert await in_turn(conn, worker_id, 1, slots=8) == "AABB"
    assert await claim_turns(conn, worker_id, 8) == []


async def test_slots_of_a_limit_that_groups_share_are_given_out_by_turns(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    """Each has a limit of his own besides: groups of which a look sees that each alone would have slots for all of its jobs."""
    await create(jobs, *"AAAA", job_type=LIMITED_ERRAND, limits={"api": 4, "a": 9})
    await create(jobs, *"BBBB", job_type=LIMITED_ERRAND, limits={"api": 4, "b": 9})
    await claim_turns(conn, worker_id, 8)
    assert await in_turn(conn, worker_id, 1, slots=8) == "AABB"


async def test_only_the_head_of_a_lane_takes_a_turn(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    await create(jobs, *"AA", job_type=LANE_ERRAND, lane="a")
    await create(jobs, *"BB", job_type=LANE_ERRAND, lane="b")
    (head,) = await claim_turns(conn, worker_id)
    await settle(conn, head, Complete(), LANE_ERRAND)
    assert await in_turn(conn, worker_id, 2) == "BA"
    assert await claim_turns(conn, worker_id) == []


async def test_a_pause_keeps_turns_as_they_are(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    await create(jobs, *"AAB")
    assert await in_turn(conn, worker_id, 1) == "A"
    await pause(conn, job_type="errand", set_by="ann")
    assert await claim_turns(conn, worker_id) == []
    await resume(conn, job_type="errand")
    assert await in_turn(conn, worker_id, 2) == "BA"


async def test_a_claim_that_looked_before_another_took_the_turn_takes_the_next(
    jobs: Jobs, conn: Connection, worker_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or two claims would both think that A has had nothing."""
    await create(jobs, *"AAB")
    take = jobs_core.claim_limited.take_turns

    async def overtaken(*looked: Any) -> Any:
        monkeypatch.setattr(jobs_core.claim_limited, "take_turns", take)
        async with jobs.database.connection() as other:
            assert await in_turn(other, worker_id, 1) == "A"
        return await take(*looked)

    monkeypatch.setattr(jobs_core.claim_limited, "take_turns", overtaken)
    assert await in_turn(conn, worker_id, 2) == "BA"


async def test_a_claim_that_froze_keeps_neither_the_others_nor_the_rest_of_its_user_waiting(
    jobs: Jobs, conn: Connection, worker_id: int, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(jobs, *"AAB")
    write = jobs_core.claim_limited._write
    seen = ""

    async def frozen(*taken: Any) -> Any:
        nonlocal seen
        monkeypatch.setattr(jobs_core.claim_limited, "_write", write)
        async with database.connection() as other, asyncio.timeout(10):
            seen = await in_turn(other, worker_id, 2)
        return await write(*taken)

    monkeypatch.setattr(jobs_core.claim_limited, "_write", frozen)
    assert await in_turn(conn, worker_id, 1) == "A"
    assert seen == "BA"


async def test_a_turn_that_came_to_nothing_is_given_back(
    jobs: Jobs, conn: Connection, worker_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two have the slot that is free for either; who goes without is next, and not behind all others."""
    for user in "ABC":
        await create(jobs, *(user * 2), job_type=LIMITED_ERRAND, limits={"api": 1, user: 9})
    await claim_turns(conn, worker_id, 3)  # makes the limits' keys
    users = ""
    for _ in range(6):
        (job,) = await claim_turns(conn, worker_id, 3)
        users += json.loads(job.input)["user"]
        await settle(conn, job, Complete(), LIMITED_ERRAND)
    assert users == "ABCABC"


async def test_without_that_whoever_has_the_first_number_would_have_each_slot(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    """The mutant of the test above."""
    with mutated(("SET served = l.before", "SET served = f.served")), pytest.raises(AssertionError, match="ABCABC"):
        await test_a_turn_that_came_to_nothing_is_given_back(jobs, conn, worker_id, pytest.MonkeyPatch())


async def test_keys_are_forgotten_and_nothing_strands(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    await create(jobs, *"AAAB")
    assert await in_turn(conn, worker_id, 2) == "AB"
    await forget_fair_keys(conn)
    assert len(await fetch(conn, "SELECT FROM jobs.fair_keys")) == 2
    await execute(conn, "UPDATE jobs.fair_keys SET served_at = served_at - interval '61 min'")
    await forget_fair_keys(conn)
    assert await fetch(conn, "SELECT FROM jobs.fair_keys") == []
    assert await in_turn(conn, worker_id, 2) == "AA"


async def test_a_thousand_and_more_users_have_their_first_turn_before_anybody_his_second(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    users = [f"user:{number}" for number in range(1_200)]
    await jobs.create_many([NewJob(ERRAND, Errand(user=user)) for user in users for _ in range(2)])
    claimed = [job.input for _ in range(4) for job in await claim_turns(conn, worker_id, 300)]
    assert len(claimed) == len(set(claimed)) == 1_200


async def test_more_users_than_a_look_steps_over_go_round_page_by_page(
    jobs: Jobs, conn: Connection, worker_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_core.claim_limited, "GROUPS_AT_ONCE", 2)
    await create(jobs, *"AAAABBCCDE")
    after, claimed = "", ""
    for _ in range(10):
        found = await jobs_core.claim_limited.claim_limited(
            conn, worker_id=worker_id, queues=["default"], job_types=["errand"], slots=1, after=after
        )
        after = found.after
        claimed += "".join(json.loads(job.input)["user"] for job in found.jobs)
    assert set(claimed[:6]) == set("ABCDE")


async def test_a_type_that_takes_no_turns_is_claimed_as_before(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    await jobs.create(NOTE, {})
    assert await claim_turns(conn, worker_id) == []
    (row,) = await fetch(conn, "SELECT limits, limit_group FROM jobs.jobs")
    assert row == {"limits": None, "limit_group": None}


async def test_a_limit_whose_key_looks_like_a_turn_is_none(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    from jobs_core import Limit

    await set_limit(conn, Limit('["A"]', slots=0))
    await create(jobs, "A")
    assert await in_turn(conn, worker_id, 1) == "A"
