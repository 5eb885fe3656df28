"""Which dead letters are meant, where they lie, and the preview of them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from jobs_core import Connection, Jobs, execute, fetch, history
from jobs_core.dead_letters import Left, Letters, OfError, OfType, Place, pages, preview
from jobs_core.history import Day
from jobs_core.redrive import redrive
from tests.database.test_look import jobs_of_two_months
from tests.support.dead_letters import dead

NOW = datetime.now(UTC)
INSERT = """
INSERT INTO jobs.history (id, job_type, queue, priority, state, input, user_id, lane, retry_count, lost_count, created_at,
                          retention, ended_at)
VALUES (%(id)s, %(job_type)s, %(queue)s, 2, %(state)s, '{}', %(user_id)s, %(lane)s, 0, 0, %(created_at)s, %(retention)s,
        %(ended_at)s)
"""
SEARCHES = [
    Letters(),
    Letters(("failed", "cancelled")),
    Letters(("cancelled",), lane="l1"),
    Letters(job_type="report"),
    Letters(queue="slow", user_id="ada"),
    Letters(user_id="nobody"),
    Letters(since=NOW - timedelta(days=20), until=NOW - timedelta(days=9)),
    Letters(until=NOW - timedelta(days=45)),
    Letters(since=NOW - timedelta(hours=12)),
    Letters(ids=(1, 7, 50, 51, 52, 53, 300, 301, 302, 499, 10**9)),
    Letters(since=NOW - timedelta(days=3), until=NOW - timedelta(days=5)),
]


@pytest.fixture
async def two_months(conn: Connection) -> list[dict[str, Any]]:
    """Ended jobs of two months; for half of the days there are partitions, and the rest lies in the default ones."""
    today = await history._today(conn)
    for table in history.TABLES[:3]:
        for back in range(0, 30, 3):
            await history._make(conn, Day(table, today - timedelta(days=back)))
    rows = [row for row in jobs_of_two_months() if row["ended_at"]]
    for row in rows:
        row["lane"] = f"l{row['id'] % 3}"
        row["state"] = ("complete", "failed", "failed", "cancelled")[row["id"] % 4]
    async with conn.transaction(), conn.cursor() as cursor:
        await cursor.executemany(INSERT, rows)
    return rows


def expected(rows: list[dict[str, Any]], letters: Letters) -> list[int]:
    """The ids that should be found, by looking at all of them."""
    wanted = {name: getattr(letters, name) for name in ("job_type", "queue", "user_id", "lane")}
    found = [
        Place(row["ended_at"], row["id"])
        for row in rows
        if row["state"] in letters.states
        and all(value is None or row[name] == value for name, value in wanted.items())
        and (letters.ids is None or row["id"] in letters.ids)
        and (letters.since is None or row["ended_at"] >= letters.since)
        and (letters.until is None or row["ended_at"] < letters.until)
    ]
    return [place.id for place in sorted(found)]


async def test_letters_are_found_wherever_they_lie_as_they_ended(
    conn: Connection, two_months: list[dict[str, Any]]
) -> None:
    for letters in SEARCHES:
        for size in (3, 50, 1000):
            found = [page async for page in pages(conn, letters, size=size)]
            assert max(map(len, found), default=0) <= size
            assert [place.id for page in found for place in page] == expected(two_months, letters), letters


async def test_they_are_found_from_behind_any_of_them_on(conn: Connection, two_months: list[dict[str, Any]]) -> None:
    every = [place async for page in pages(conn, Letters()) for place in page]
    for number in range(0, len(every), 29):
        behind = [place async for page in pages(conn, Letters(), every[number], size=40) for place in page]
        assert behind == every[number + 1 :]


async def test_a_preview_counts_what_a_redrive_would_make(
    jobs: Jobs, conn: Connection, two_months: list[dict[str, Any]]
) -> None:
    await execute(conn, "UPDATE jobs.history SET error = job_type || ' ' || id || E': no\\nmore ' || id")
    for letters in SEARCHES:
        ids = expected(two_months, letters)
        types = [next(row["job_type"] for row in two_months if row["id"] == job_id) for job_id in ids]
        counts = sorted(((types.count(name), name) for name in set(types)), reverse=True)
        found = await preview(conn, letters)
        assert found.n == len(ids)
        assert sorted(((one.n, one.job_type) for one in found.types), reverse=True) == counts
        assert {(one.job_type, one.error, one.n) for one in found.errors} == {
            (name, f"{name} #: no", n) for n, name in counts
        }
        assert [(job.id, job.state in letters.states) for job in found.examples] == [(one, True) for one in ids[:3]]


async def test_a_preview_shows_three_though_each_ended_on_a_day_of_its_own(conn: Connection, today: date) -> None:
    for back in range(4):
        await history._make(conn, Day("history_standard", today - timedelta(days=back)))
    ids = [await dead(conn) for _ in range(4)]
    for back, job_id in enumerate(reversed(ids)):
        ended = {"id": job_id, "at": history.midnight(today - timedelta(days=back))}
        await execute(conn, "UPDATE jobs.history SET ended_at = %(at)s WHERE id = %(id)s", ended)
    assert [job.id for job in (await preview(conn, Letters())).examples] == ids[:3]


async def test_a_preview_tells_what_was_redriven_before_and_which_errors_are_the_most_frequent(
    jobs: Jobs, conn: Connection
) -> None:
    first, *_, last = [await dead(conn) for _ in range(4)]
    await execute(conn, "UPDATE jobs.history SET error = 'time is up after 30 s' WHERE id < %(last)s", {"last": last})
    (batch,) = [batch async for batch in redrive(conn, jobs.table, Letters(), limit=1)]
    found = await preview(conn, Letters(), errors=1)
    assert found.types == [OfType("note", 3, 1)]
    assert found.errors == [OfError("note", "time is up after # s", 2)]
    assert (found.n, found.redriven, found.left) == (3, 1, [])
    again = await preview(conn, Letters(again=True))
    assert (again.n, again.redriven, again.types) == (4, 0, [OfType("note", 4, 0)])
    named = await preview(conn, Letters(ids=(first, last, 10**6)))
    assert (named.n, named.redriven) == (1, 1)
    assert named.left == [Left(first, "redriven", batch.redriven[first]), Left(10**6, "unknown")]


async def test_a_preview_changes_nothing(jobs: Jobs, conn: Connection) -> None:
    await dead(conn)
    before = await fetch(conn, "SELECT xmin::text, xmax::text, * FROM jobs.history")
    await preview(conn, Letters())
    assert await fetch(conn, "SELECT xmin::text, xmax::text, * FROM jobs.history") == before
    assert await fetch(conn, "SELECT FROM jobs.jobs UNION ALL SELECT FROM jobs.redrives") == []
