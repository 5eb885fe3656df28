"""Prune: exactly the ended jobs that are meant go, whole days as partitions, with what is kept about them elsewhere."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from jobs_core import Connection, Jobs, execute, fetch, fetch_one, history, prune
from jobs_core.history import Day, midnight
from jobs_core.prune import CLASSES, Chosen, Part, Pruned
from tests.database.conftest import ClaimAll
from tests.database.test_look import jobs_of_two_months
from tests.database.test_redrive_letters import INSERT
from tests.support.job_types import NOTE

NOW = datetime.now(UTC)
ATTEMPT = """
INSERT INTO jobs.attempts (job_id, token, reason, alone, ended_at) VALUES (%(job_id)s, 1, 'error', false, %(ended_at)s)
"""

Rows = list[dict[str, Any]]


@pytest.fixture
async def today(conn: Connection) -> date:
    return await history._today(conn)


@pytest.fixture
async def two_months(conn: Connection, today: date) -> Rows:
    """Ended jobs of two months, each with an attempt; every fifth of the last 30 days has partitions, today's among them."""
    for table in history.TABLES:
        for back in range(0, 30, 5):
            await history._make(conn, Day(table, today - timedelta(days=back)))
    rows = [row for row in jobs_of_two_months() if row["ended_at"]]
    attempts = [{"job_id": row["id"], "ended_at": row["ended_at"] + timedelta(milliseconds=1)} for row in rows]
    async with conn.transaction(), conn.cursor() as cursor:
        await cursor.executemany(INSERT, [{**row, "lane": None} for row in rows])
        await cursor.executemany(ATTEMPT, attempts)
    return rows


async def pruned(conn: Connection, chosen: Chosen) -> list[Pruned]:
    return [step async for step in prune.prune(conn, chosen)]


async def left(conn: Connection, table: str = "history", column: str = "id") -> list[int]:
    return [row["id"] for row in await fetch(conn, f"SELECT {column} AS id FROM jobs.{table} ORDER BY 1")]


async def partitions(conn: Connection, table: str = "history_short") -> set[date]:
    return {day.day for day in await history._days(conn) if day.table == table}


def stay(rows: Rows, chosen: Chosen) -> list[int]:
    """The ids of those that are not meant, by looking at all of them."""
    return [
        row["id"]
        for row in rows
        if not (
            row["ended_at"] < chosen.before
            and row["retention"] in chosen.classes
            and chosen.job_type in {None, row["job_type"]}
            and chosen.state in {None, row["state"]}
        )
    ]


@pytest.mark.parametrize(
    "chosen",
    [
        Chosen(NOW),
        Chosen(NOW - timedelta(days=9)),
        Chosen(NOW - timedelta(days=9), ("short",)),
        Chosen(NOW - timedelta(days=90)),
        Chosen(NOW, ("short", "long"), state="failed"),
        Chosen(NOW - timedelta(days=2), job_type="report"),
        Chosen(NOW, job_type="mail", state="complete"),
        Chosen(NOW + timedelta(days=3)),
    ],
)
async def test_exactly_those_that_are_meant_go_as_the_preview_said(
    conn: Connection, two_months: Rows, monkeypatch: pytest.MonkeyPatch, chosen: Chosen
) -> None:
    monkeypatch.setattr(prune, "BATCH", 7)
    wanted = stay(two_months, chosen)
    parts, _ = await prune.preview(conn, chosen)
    steps = await pruned(conn, chosen)
    assert await left(conn) == await left(conn, "attempts", "job_id") == wanted
    gone = len(two_months) - len(wanted)
    assert sum(part.rows for part in parts) == sum(step.rows for step in steps) == gone
    assert sum(step.attempts for step in steps) == gone
    assert {part.part for part in parts if part.part.whole} == {step.part for step in steps if step.dropped}
    assert max(step.rows for step in steps if not step.dropped) <= 7
    assert await prune.preview(conn, chosen) == ([], 0)


async def test_days_that_are_over_are_dropped_as_partitions_and_no_others(
    conn: Connection, two_months: Rows, today: date
) -> None:
    days = await partitions(conn)
    edge = today - timedelta(days=10)
    assert edge in days
    await pruned(conn, Chosen(midnight(edge) + timedelta(hours=12), ("short",)))
    assert await partitions(conn) == {day for day in days if day >= edge}
    assert await partitions(conn, "history_long") == days
    await pruned(conn, Chosen(NOW + timedelta(days=400), ("short",)))
    assert await partitions(conn) == {today}, "settles write to it"
    await pruned(conn, Chosen(NOW, ("long",), state="complete"))
    assert await partitions(conn, "history_long") == days, "a day may hold jobs in other states"


async def test_a_preview_tells_the_size_of_what_goes_and_changes_nothing(
    conn: Connection, two_months: Rows, today: date
) -> None:
    await execute(conn, "ANALYZE jobs.history")
    before = await left(conn)
    whole, _ = await prune.preview(conn, Chosen(midnight(today), ("short",)))
    sizes = await fetch(conn, "SELECT relname, pg_total_relation_size(oid) AS bytes FROM pg_class")
    by_name = {row["relname"]: row["bytes"] for row in sizes}
    assert {one.part.day is None for one in whole} == {True, False}
    for one in whole:  # all rows of the default partition go, too
        assert one.size_bytes == by_name[one.part.name]
    some, _ = await prune.preview(conn, Chosen(midnight(today), ("short",), state="failed"))
    assert not any(one.part.whole for one in some)
    assert all(0 < one.size_bytes < by_name[one.part.name] for one in some if one.part.day is None)
    assert await left(conn) == before


async def test_what_lives_is_not_touched_nor_its_attempts(
    conn: Connection, jobs: Jobs, claim_all: ClaimAll, two_months: Rows
) -> None:
    await execute(conn, "SELECT setval('jobs.job_id_seq', 1000)")
    living = (await jobs.create(NOTE, {})).id
    await execute(conn, ATTEMPT, {"job_id": living, "ended_at": NOW - timedelta(days=4)})
    await pruned(conn, Chosen(NOW))
    assert await left(conn, "jobs") == [living] == await left(conn, "attempts", "job_id")


async def test_keys_go_when_their_time_is_over_and_not_with_their_job(
    conn: Connection, jobs: Jobs, two_months: Rows
) -> None:
    first = (await jobs.create(NOTE, {}, idempotency_key="old")).id
    await execute(conn, "UPDATE jobs.job_keys SET expires_at = now() - interval '1 s'")
    kept = (await jobs.create(NOTE, {}, idempotency_key="event 7")).id
    assert first != kept
    assert (await prune.preview(conn, Chosen(NOW)))[1] == 1
    assert sum(step.keys for step in await pruned(conn, Chosen(NOW))) == 1
    assert await left(conn, "job_keys", "job_id") == [kept]


async def test_that_it_was_redriven_is_forgotten_with_the_job(conn: Connection, two_months: Rows) -> None:
    first, second = two_months[0]["id"], two_months[-1]["id"]
    for job_id in (first, second):
        await execute(conn, "INSERT INTO jobs.redrives VALUES (%(id)s, %(id)s + 1000)", {"id": job_id})
    await pruned(conn, Chosen(NOW - timedelta(days=20)))
    assert await left(conn, "redrives", "job_id") == [second]


async def test_a_prune_that_was_stopped_goes_on_the_next_time(
    conn: Connection, two_months: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "BATCH", 7)
    async for step in prune.prune(conn, Chosen(NOW)):
        if step.rows:
            break
    assert 0 < len(await left(conn)) < len(two_months)
    await pruned(conn, Chosen(NOW))
    assert await left(conn) == []


async def test_a_day_that_somebody_else_dropped_meanwhile_is_no_error(
    conn: Connection, two_months: Rows, today: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Part("history_short", today - timedelta(days=300), whole=True)

    async def parts_of_before(_conn: Connection, _chosen: Chosen) -> list[Part]:
        return [gone]

    monkeypatch.setattr(prune, "_parts", parts_of_before)
    counted, _ = await prune.preview(conn, Chosen(NOW))
    assert [(one.part, one.rows, one.size_bytes) for one in counted] == [(gone, 0, 0)]
    steps = await pruned(conn, Chosen(NOW))
    assert [step.why_not for step in steps] == [None] * len(steps)
    assert len(await left(conn)) == len(two_months)


async def test_history_of_every_class_can_be_pruned(conn: Connection) -> None:
    """A class that is added to history must be known here."""
    row = await fetch_one(
        conn,
        "SELECT array_agg(substr(c.relname, 9)) AS classes FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = 'jobs.history'::regclass",
    )
    assert row is not None
    assert set(row["classes"]) == set(CLASSES)
