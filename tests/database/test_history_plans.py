"""Plans of looks into history: 200,000 rows over 40 days, a partition for each day and class, statistics stale or fresh."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs_core import Connection, db, execute, fetch, history, look, statement
from jobs_core.history import Day, midnight
from tests.support.database import fresh_database

ROWS, DAYS = 200_000, 40
FILL = f"""
INSERT INTO jobs.history (id, job_type, queue, priority, state, input, user_id, lane, retry_count, lost_count, created_at,
                          retention, ended_at)
SELECT n, 'type' || n % 10, 'default', 2, CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'complete' END, '{{}}', 'user' || n % 1000,
       CASE WHEN n % 3 = 0 THEN 'lane' || n % 5000 END, 0, 0, at - interval '1 minute',
       CASE n % 3 WHEN 0 THEN 'short' WHEN 1 THEN 'standard' ELSE 'long' END, at
FROM generate_series(1, {ROWS}) AS n,
     LATERAL (SELECT now() - ({ROWS} - n) * interval '{DAYS - 1} days' / {ROWS}) AS ended (at)
"""
ANY: dict[str, Any] = {
    **dict.fromkeys(("state", "job_type", "queue", "user_id", "lane", "before_id", "first", "next")),
    "limit": 20,
}
INDEXED: dict[str, tuple[dict[str, Any], str]] = {  # what is looked for, and the columns of the index that finds it
    "a user's": ({"user_id": "user7"}, "user_id_id"),
    "a lane's": ({"lane": "lane9"}, "lane_id"),
    "failed ones of a type": ({"state": "failed", "job_type": "type0"}, "job_type_id"),
    "the newest": ({}, "id"),
    "older ones": ({"before_id": 100_000}, "id"),
}
DEAD: dict[str, Any] = {
    **dict.fromkeys(("job_type", "queue", "user_id", "lane", "ids", "after_at", "after_id")),
    "states": ["failed"],
    "redriven": False,
}
LETTERS: dict[str, dict[str, Any]] = {
    "redrive/letters": {**DEAD, "batch": 100},
    "redrive/count": {**DEAD, "most": 100},
    "redrive/take": {"ids": [100_000, 100_001]},
}
STATISTICS = ("stale", "fresh")

Plan = dict[str, Any]
Plans = dict[tuple[str, str], Plan]


@pytest.fixture(scope="module")
def filled(server_dsn: str) -> Iterator[str]:
    """The DSN of a database with such a history, of which there are no statistics."""

    async def fill(dsn: str) -> None:
        async with await db.connect(dsn, name="tests") as conn:
            today = await history._today(conn)
            for table in history.TABLES:
                for back in range(DAYS):
                    day = Day(table, today - timedelta(days=back))
                    await history._make(conn, day)
                    await execute(conn, f"ALTER TABLE jobs.{day.name} SET (autovacuum_enabled = off)")
            await execute(conn, FILL)

    with fresh_database(server_dsn) as dsn:
        asyncio.run(fill(dsn))
        yield dsn


@pytest.fixture(scope="module")
def plans(filled: str) -> Plans:
    """The plan of each look by (statistics, what is looked for)."""

    async def explain_all() -> Plans:
        found: Plans = {}
        async with await db.connect(filled, name="tests") as conn:
            today = await history._today(conn)
            span = {"first": midnight(today - timedelta(days=9)), "next": midnight(today - timedelta(days=7))}
            for statistics in STATISTICS:
                if statistics == "fresh":
                    await execute(conn, "ANALYZE jobs.history")
                for what, (wanted, _) in INDEXED.items():
                    found[statistics, what] = await explain(conn, "history/newest", {**ANY, **wanted})
                found[statistics, "some days'"] = await explain(conn, "history/newest", {**ANY, **span})
                found[statistics, "one of some days"] = await explain(conn, "history/find", {"id": 100_000, **span})
                attempts = {"job_id": 7, "since": midnight(today - timedelta(days=1))}
                for name, values in LETTERS.items():
                    found[statistics, name] = await explain(conn, name, {**values, **span, "last": span["next"]})
                found[statistics, "attempts"] = await explain(conn, "attempt/of_job", attempts)
            found["fresh", "for all values"] = await explain_generic(conn, {**ANY, **span, "user_id": "user7"})
        return found

    return asyncio.run(explain_all())


async def explain(conn: Connection, name: str, values: dict[str, Any]) -> Plan:
    (row,) = await fetch(conn, f"EXPLAIN (FORMAT JSON) {statement('jobs_core', name)}", values, prepare=False)
    plan: Plan = row["QUERY PLAN"][0]["Plan"]
    return plan


async def explain_generic(conn: Connection, values: dict[str, Any]) -> Plan:
    """The plan that a prepared statement gets once Postgres plans it for all values."""
    sql, names = statement("jobs_core", "history/newest"), list(values)
    for number, name in enumerate(names, 1):
        sql = sql.replace(f"%({name})s", f"${number}")
    await execute(conn, "SET plan_cache_mode = force_generic_plan")
    await execute(conn, f"PREPARE one AS {sql}")
    given = ", ".join("NULL" if value is None else f"'{value}'" for value in values.values())
    row = await db.fetch_one(conn, f"EXPLAIN (FORMAT JSON) EXECUTE one({given})")
    assert row is not None
    plan: Plan = row["QUERY PLAN"][0]["Plan"]
    return plan


def reads(plan: Plan) -> list[tuple[str, str]]:
    """How each day is read: (its partition, the index, "" for none)."""
    found = []
    if re.search(r"_\d{8}$", plan.get("Relation Name", "")):
        bitmaps = [child.get("Index Name", "") for child in plan.get("Plans", [])]
        found.append((plan["Relation Name"], plan.get("Index Name") or next(iter(bitmaps), "")))
    return found + [read for child in plan.get("Plans", []) for read in reads(child)]


def days_back(plan: Plan) -> set[int]:
    """Which days are read, as how many days ago they were."""
    today = datetime.now(UTC).date()
    days = {datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC).date() for name, _ in reads(plan)}
    return {(today - day).days for day in days}


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("what", INDEXED)
def test_what_is_looked_for_is_found_by_its_index(plans: Plans, what: str, statistics: str) -> None:
    found = reads(plans[statistics, what])
    columns = INDEXED[what][1]
    assert len(found) == 3 * DAYS, "every day of each class is in the span"
    assert {re.sub(r"^history_[a-z]+_\d{8}_|_idx\d*$", "", index) for _, index in found} == {columns}


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("what", ["some days'", "one of some days"])
def test_only_the_days_of_the_span_are_opened(plans: Plans, what: str, statistics: str) -> None:
    assert days_back(plans[statistics, what]) == {8, 9}


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("what", LETTERS)
def test_dead_letters_are_looked_for_in_the_days_of_the_span_only(plans: Plans, what: str, statistics: str) -> None:
    assert {8, 9} <= days_back(plans[statistics, what]) <= {7, 8, 9}


def test_dead_letters_are_found_by_the_index_of_what_ended_badly_and_locked_by_their_ids(plans: Plans) -> None:
    indexes = {"redrive/letters": "job_type_id", "redrive/count": "job_type_id", "redrive/take": "id"}
    for name, columns in indexes.items():
        found = {re.sub(r"^history_[a-z]+_\d{8}_|_idx\d*$", "", index) for _, index in reads(plans["fresh", name])}
        assert found == {columns}, name


@pytest.mark.parametrize("statistics", STATISTICS)
def test_attempts_are_looked_for_since_the_job_was_created(plans: Plans, statistics: str) -> None:
    assert days_back(plans[statistics, "attempts"]) == {0, 1}


def test_a_plan_for_all_values_would_use_no_index_of_what_is_looked_for(plans: Plans) -> None:
    """Why they are sent unprepared."""
    assert not any("user_id" in index for _, index in reads(plans["fresh", "for all values"]))


LOCKED = """
SELECT count(*) AS n FROM pg_locks JOIN pg_class ON pg_class.oid = relation
WHERE pid = pg_backend_pid() AND relkind = 'r' AND relname ~ '^history_.*[0-9]{8}$'
"""


async def test_a_look_locks_the_days_where_the_job_may_lie_and_few_others(filled: str) -> None:
    """All of them would be five locks for each, of which a server has a few thousand for everybody."""
    async with await db.connect(filled, name="tests") as conn:

        async def locked(look_for: Callable[[], Awaitable[Any]]) -> int:
            async with conn.transaction():
                assert await look_for()
                row = await db.fetch_one(conn, LOCKED)
                assert row is not None
                return int(row["n"])

        assert await locked(lambda: look.find(conn, ROWS)) <= 3 * 2
        assert await locked(lambda: look.newest(conn)) <= 3 * 2
        assert await locked(lambda: look.find(conn, 1)) < 3 * DAYS / 2
