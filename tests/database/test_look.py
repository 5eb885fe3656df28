"""Looking at jobs: living and ended ones as one list, over all days of history."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs_core import AnyJob, Complete, Connection, Database, Fail, Jobs, NewJob, Retry, db, execute, history, look
from jobs_core.history import Day
from jobs_core.look import attempts_of, ended_counts, find, newest
from jobs_core.settle import settle
from jobs_core.upkeep import promote_due
from tests.database.conftest import ClaimAll, NextRun
from tests.support.job_types import NOTE

NOW = datetime.now(UTC)
SEED = 20301231
INSERT_LIVING = """
INSERT INTO jobs.jobs (id, job_type, queue, priority, state, input, user_id, ready_seq, created_at)
VALUES (%(id)s, %(job_type)s, %(queue)s, 2, 'pending', '{}', %(user_id)s, 1, %(created_at)s)
"""
INSERT_ENDED = """
INSERT INTO jobs.history (id, job_type, queue, priority, state, input, user_id, retry_count, lost_count, created_at, retention,
                          ended_at)
VALUES (%(id)s, %(job_type)s, %(queue)s, 2, %(state)s, '{}', %(user_id)s, 0, 0, %(created_at)s, %(retention)s, %(ended_at)s)
"""

Row = dict[str, Any]


def jobs_of_two_months() -> list[Row]:
    """Jobs in the order of their ids; most end within minutes, some after weeks, some live."""
    chance = random.Random(SEED)
    rows = []
    for number in range(1, 501):
        created = NOW - timedelta(days=60) * (1 - number / 500)
        ended = created + timedelta(days=chance.choice([0.001, 0.01, 0.2, 1.5, 10, 40]) * chance.random())
        living = ended > NOW or chance.random() < 0.02
        rows.append(
            {
                "id": number,
                "job_type": chance.choice(["mail", "mail", "report"]),
                "queue": chance.choice(["default", "slow"]),
                "user_id": chance.choice(["ada", "bob", None]),
                "state": "pending" if living else chance.choice(["complete", "complete", "failed"]),
                "retention": chance.choice(["short", "standard", "long"]),
                "created_at": created,
                "ended_at": None if living else ended,
            }
        )
    return rows


def expected(rows: list[Row], limit: int = 50, before_id: int | None = None, **wanted: Any) -> list[int]:
    """What a list over them should show, found by looking at all of them."""
    since, until = wanted.pop("since", None), wanted.pop("until", None)
    ids = [
        row["id"]
        for row in reversed(rows)
        if all(row[name] == value for name, value in wanted.items())
        and (before_id is None or row["id"] < before_id)
        and (since is None or (row["ended_at"] or row["created_at"]) >= since)
        and (until is None or (row["ended_at"] or row["created_at"]) < until)
    ]
    return ids[:limit]


@pytest.fixture
async def two_months(conn: Connection) -> list[Row]:
    """They are in the database; for half of the days there are partitions, and the rest lies in the default ones."""
    today = await history._today(conn)
    for table in history.TABLES[:3]:
        for back in range(0, 30, 3):
            await history._make(conn, Day(table, today - timedelta(days=back)))
    rows = jobs_of_two_months()
    async with conn.transaction():
        for row in rows:
            await execute(conn, INSERT_ENDED if row["ended_at"] else INSERT_LIVING, row)
    return rows


SEARCHES: list[Row] = [
    {},
    {"state": "failed"},
    {"state": "failed", "job_type": "report"},
    {"state": "pending"},
    {"user_id": "ada"},
    {"user_id": "nobody"},
    {"queue": "slow", "job_type": "mail", "user_id": "bob"},
    {"since": NOW - timedelta(hours=12)},
    {"since": NOW - timedelta(days=20), "until": NOW - timedelta(days=9)},
    {"until": NOW - timedelta(days=45)},
    {"until": NOW + timedelta(days=45), "state": "complete"},
    {"since": NOW - timedelta(days=3), "until": NOW - timedelta(days=5)},
]


async def test_the_newest_are_found_wherever_they_lie(conn: Connection, two_months: list[Row]) -> None:
    for wanted in SEARCHES:
        for limit in (1, 3, 20, 1000):
            for before_id in (None, 480, 300, 2):
                found = await newest(conn, **wanted, limit=limit, before_id=before_id)
                ids = [job.id for job in found]
                assert ids == expected(two_months, limit, before_id, **wanted), (wanted, limit, before_id)


async def test_a_full_page_alone_would_not_be_enough_to_stop_at(
    conn: Connection, two_months: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the walk ends where the page is full, although the last of it was created before that span of days."""
    monkeypatch.setattr(look, "_is_whole", lambda page, limit, _first: len(page) == limit)
    wrong = 0
    for before_id in range(2, 500, 7):
        found = await newest(conn, state="complete", limit=3, before_id=before_id)
        wrong += [job.id for job in found] != expected(two_months, 3, before_id, state="complete")
    assert wrong


async def test_each_is_found_by_its_id_with_all_that_is_known(conn: Connection, two_months: list[Row]) -> None:
    for row in two_months:
        view = await find(conn, row["id"])
        assert view is not None
        assert {name: getattr(view, name) for name in row if name != "retention"} == {
            name: value for name, value in row.items() if name != "retention"
        }
        assert view.retention == (row["retention"] if row["ended_at"] else None)
        assert (view.input, view.result) == ({}, None)


async def test_an_id_that_is_not_there_is_none_without_a_walk_through_all_days(
    conn: Connection, two_months: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = count_statements(monkeypatch)
    for gone in (500, 499, 250, 1):
        await execute(conn, "DELETE FROM jobs.jobs WHERE id = %(id)s", {"id": gone})
        await execute(conn, "DELETE FROM jobs.history WHERE id = %(id)s", {"id": gone})
    for gone in (501, 2**63 - 1, 500, 499, 250, 1, 0, -1):
        assert await find(conn, gone) is None
    asked.clear()
    assert await find(conn, 2**63 - 1) is None
    assert len(asked) < len(list(look.spans(await history.oldest_day(conn))))


async def test_a_list_of_living_jobs_does_not_ask_history_nor_one_of_ended_ones_the_queue(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = count_statements(monkeypatch)
    await newest(conn, state="running")
    await newest(conn, state="failed")
    assert ['FROM "jobs".history' in sql for sql in asked] == [False, True]


async def test_a_job_that_ends_between_the_two_looks_is_told_once_as_ended(
    conn: Connection, jobs: Jobs, claim_all: ClaimAll, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = (await jobs.create(NOTE, {})).id
    (job,) = await claim_all()
    fetch_now = db.fetch

    async def fetch_then_settle(on: Connection, sql: Any, values: Row, **how: Any) -> list[db.Row]:
        rows = await fetch_now(on, sql, values, **how)
        if how and rows and rows[0]["state"] == "claimed":
            async with database.connection() as own:
                await settle(own, job, Complete({"n": 1}), NOTE)
        return rows

    monkeypatch.setattr(look.db, "fetch", fetch_then_settle)
    assert [(view.id, view.state) for view in await newest(conn)] == [(job_id, "complete")]


async def test_what_holds_a_key_or_is_to_be_given_up_says_so(conn: Connection, jobs: Jobs, claim_all: ClaimAll) -> None:
    job_id = (await jobs.create(NOTE, {}, unique_key="ada", unique_while="unfinished")).id
    (job,) = await claim_all()
    living = await find(conn, job_id)
    assert living is not None
    assert (living.unique_key, living.retention, living.give_up_at is not None) == ("ada", None, True)
    await settle(conn, job, Fail("no"), NOTE)
    ended = await find(conn, job_id)
    assert ended is not None
    assert (ended.unique_key, ended.retention, ended.error) == ("ada", "standard", "no")


async def test_a_child_names_its_parent_while_it_lives_and_after(
    jobs: Jobs, conn: Connection, job: AnyJob, next_run: NextRun
) -> None:
    child_id = await job.spawn("child", NewJob(NOTE, {}))
    living = await find(conn, child_id)
    await settle(conn, await next_run(), Complete(), NOTE)
    ended = await find(conn, child_id)
    assert living is not None
    assert ended is not None
    assert (living.parent_id, ended.parent_id, ended.state) == (job.id, job.id, "complete")


async def test_a_job_has_the_attempts_that_did_not_complete(
    conn: Connection, jobs: Jobs, claim_all: ClaimAll, worker_id: int
) -> None:
    job_id = (await jobs.create(NOTE, {})).id
    for _ in range(2):
        (job,) = await claim_all()
        await settle(conn, job, Retry("not yet"), NOTE)
        await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now()")
        await promote_due(conn)
    (job,) = await claim_all()
    await settle(conn, job, Complete(), NOTE)
    view = await find(conn, job_id)
    assert view is not None
    first, second = await attempts_of(conn, view)
    assert (first.reason, first.error, first.worker_id, first.alone) == ("error", "not yet", worker_id, False)
    assert (first.token < second.token < job.token, first.ended_at < second.ended_at) == (True, True)


async def test_jobs_that_left_no_history_are_counted_by_day_type_and_state(conn: Connection) -> None:
    today = await history._today(conn)
    yesterday = today - timedelta(days=1)
    for day, job_type, state, worker, n in [
        (today, "mail", "complete", 1, 5),
        (today, "mail", "complete", 2, 7),
        (today, "mail", "cancelled", 1, 1),
        (yesterday, "report", "complete", 1, 3),
    ]:
        values = {"day": day, "job_type": job_type, "state": state, "worker": worker, "n": n}
        sql = "INSERT INTO jobs.ended_counts VALUES (%(day)s, %(job_type)s, %(state)s, %(worker)s, %(n)s)"
        await execute(conn, sql, values)

    async def counted(**wanted: Any) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in await ended_counts(conn, **wanted)]

    mail = [(today, "mail", "cancelled", 1), (today, "mail", "complete", 12)]
    assert await counted() == [*mail, (yesterday, "report", "complete", 3)]
    assert await counted(since=history.midnight(today)) == await counted(job_type="mail") == mail
    assert await counted(until=history.midnight(today) - timedelta(seconds=1), state="complete") == [
        (yesterday, "report", "complete", 3)
    ]


def count_statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The list that what is sent unprepared will be added to."""
    asked = list[str]()
    fetch_now = db.fetch

    async def fetch_and_note(conn: Connection, sql: Any, values: Row | None = None, **how: Any) -> list[db.Row]:
        if how:
            asked.append(sql)
        return await fetch_now(conn, sql, values, **how)

    monkeypatch.setattr(look.db, "fetch", fetch_and_note)
    return asked
