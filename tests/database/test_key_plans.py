"""Plans of what looks keys up: neither jobs nor keys are read whole, whatever the planner was last told of them."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from jobs_core import db
from tests.support.database import fresh_database
from tests.support.plans import Arguments, Plans, explain_all, index_conditions

ROWS = 100_000
FILL = (
    "ALTER TABLE jobs.jobs SET (autovacuum_enabled = off)",
    "ALTER TABLE jobs.job_keys SET (autovacuum_enabled = off)",
    "ANALYZE jobs.jobs, jobs.job_keys",
    f"""
    INSERT INTO jobs.jobs (job_type, queue, priority, state, input, unique_key, unique_while, ready_seq)
    SELECT 'note', 'default', 2, 'pending', '{{}}', CASE WHEN n % 2 = 0 THEN 'k' || n END,
           CASE WHEN n % 2 = 0 THEN 'unstarted' END, nextval('jobs.ready_seq')
    FROM generate_series(1, {ROWS}) AS n
    """,
    f"""
    INSERT INTO jobs.job_keys (job_type, key, job_id, input_hash, expires_at)
    SELECT 'note', 'k' || n, n, '', now() + interval '1 day' FROM generate_series(1, {ROWS}) AS n
    """,
)
ONE = {"job_types": "{note}", "keys": "{k4}"}
STATEMENTS: dict[str, Arguments] = {
    "job/unclaimed": {"ids": "{4}"},
    "job/merge": {
        "ids": "{4}",
        "inputs": '{"{}"}',
        "limits": "{null}",
        "limit_groups": "{null}",
        "debounce_s": "{1}",
        "at_most_s": "{null}",
    },
    "job/meet": {"job_types": "{note}", "unique_keys": "{k4}", "ids": "{7}"},
    "key/find": {**ONE, "inputs": '{"{}"}'},
    "key/expire": {"batch": "1000"},
}


@pytest.fixture(scope="module")
def plans(server_dsn: str) -> Iterator[Plans]:
    """On one database for all tests here."""

    async def explained(dsn: str) -> Plans:
        async with await db.connect(dsn, name="tests") as conn:
            return await explain_all(conn, STATEMENTS, fill=FILL, tables="jobs.jobs, jobs.job_keys")

    with fresh_database(server_dsn) as dsn:
        yield asyncio.run(explained(dsn))


def read(plan: dict[str, Any]) -> set[tuple[str, str]]:
    """How tables are read: (kind of node, index or table)."""
    found = {(plan["Node Type"], plan.get("Index Name") or plan.get("Relation Name", ""))}
    found = {(kind, what) for kind, what in found if what and kind != "ModifyTable"}
    return found.union(*(read(child) for child in plan.get("Plans", [])))


def test_only_keys_whose_time_is_over_are_walked_to_find_them(plans: Plans) -> None:
    """With clock_timestamp() the time would be looked at in every row, and none be refused by the index."""
    conditions = list(index_conditions(plans["fresh", "new", "key/expire"]))
    assert conditions == ["(expires_at <= now())"]


@pytest.mark.parametrize("run", ["new", "prepared"])
@pytest.mark.parametrize("statistics", ["stale", "fresh"])
@pytest.mark.parametrize(
    ("name", "indexes"),
    [
        ("job/meet", {"jobs_pkey", "jobs_unique"}),
        ("job/unclaimed", {"jobs_pkey"}),
        ("job/merge", {"jobs_pkey"}),
        ("key/find", {"job_keys_pkey"}),
        ("key/expire", {"job_keys_expiry"}),
    ],
)
def test_keys_are_looked_up_in_their_indexes(
    plans: Plans, name: str, indexes: set[str], statistics: str, run: str
) -> None:
    found = read(plans[statistics, run, name])
    assert "Seq Scan" not in {kind for kind, _ in found}
    assert {what for kind, what in found if "Index" in kind} == indexes
