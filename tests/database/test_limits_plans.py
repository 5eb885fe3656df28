"""Plans of claims with limits: 100,000 jobs behind a full limit cost nobody's claim anything, whatever the planner was told.

Beside them stand 100,000 without limits, of a type that this worker does not know. Statistics are stale (of the empty
table) or fresh; a statement is new to its connection, or prepared and run so often that Postgres may know no values.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, LiteralString

import pytest

from jobs_core import Connection, db, execute, fetch, fetch_one, statement
from tests.database.test_plans import explain, scans
from tests.support.database import fresh_database

BEHIND = 100_000
FILL: tuple[LiteralString, ...] = (
    "ALTER TABLE jobs.jobs SET (autovacuum_enabled = off)",
    "ANALYZE jobs.jobs",
    "ANALYZE jobs.limit_slots",
    """
    INSERT INTO jobs.workers (host, pid, queues, job_types, slots, lease_s, expires_at)
    VALUES ('here', 1, '{}', '{}', 1, 600, clock_timestamp() + interval '1 hour')
    """,
    """
    INSERT INTO jobs.limits (key, slots, by_hand)
    SELECT CASE n WHEN 0 THEN 'full' ELSE 'user:' || n END, 2, true FROM generate_series(0, 5000) AS n
    """,
    """
    INSERT INTO jobs.limit_slots (key, n, job_id, token)
    SELECT key, n, CASE key WHEN 'full' THEN n END, CASE key WHEN 'full' THEN n END
    FROM jobs.limits CROSS JOIN generate_series(1, 2) AS n
    """,
    f"""
    INSERT INTO jobs.jobs (job_type, queue, priority, state, input, limits, limit_group, alone, limited_alone, ready_seq)
    SELECT CASE n % 2 WHEN 0 THEN 'note' ELSE 'unknown' END, 'default', 2, 'pending', '{{}}',
           CASE n % 2 WHEN 0 THEN '{{"full": {{"weight": 1, "slots": 2, "rate_per_s": null, "burst": null}}}}'::jsonb END,
           CASE n % 2 WHEN 0 THEN '["full"]' END, CASE n % 2 WHEN 1 THEN false END, CASE n % 2 WHEN 0 THEN false END,
           nextval('jobs.ready_seq')
    FROM generate_series(1, {2 * BEHIND}) AS n
    """,
    """
    INSERT INTO jobs.jobs (job_type, queue, priority, state, input, limits, limit_group, alone, limited_alone, ready_seq)
    SELECT 'note', 'default', 2, 'pending', '{}',
           jsonb_build_object('user:' || n, '{"weight": 1, "slots": 2, "rate_per_s": null, "burst": null}'::jsonb),
           jsonb_build_array('user:' || n)::text, NULL, false, nextval('jobs.ready_seq')
    FROM generate_series(1, 3) AS n
    """,
    """
    INSERT INTO jobs.jobs (job_type, queue, priority, state, input, limits, limit_group, alone, limited_alone, ready_seq)
    SELECT 'bound', 'default', 2, 'pending', '{}',
           jsonb_build_object('user:' || n, '{"weight": 1, "slots": 2, "rate_per_s": null, "burst": null}'::jsonb),
           jsonb_build_array('user:' || n)::text, NULL, false, nextval('jobs.ready_seq')
    FROM generate_series(1, 30) CROSS JOIN generate_series(1001, 1100) AS n
    """,
    f"""
    INSERT INTO jobs.jobs (job_type, queue, priority, state, input, limit_group, alone, limited_alone, ready_seq)
    SELECT 'errand', 'default', 2, 'pending', '{{}}', '[["user:' || least(n, 50) || '"]]', NULL, false,
           nextval('jobs.ready_seq')
    FROM generate_series(1, {BEHIND}) AS n
    """,
)
MINE = {"queues": "{default,other}", "job_types": "{note,brief_note}"}
LIMITED = {**MINE, "alone": "false"}
STATEMENTS: dict[str, dict[str, str | None]] = {
    "job/claim": {**MINE, "worker_id": "1", "give_up_s": "{60,60}", "floors": "{0,0,0,0,0}", "slots": "10"},
    "job/any_ready": MINE,
    "job/claim_alone": {**MINE, "worker_id": "1", "give_up_s": "60"},
    "job/limited": {**LIMITED, "after": "", "groups": "2000", "jobs": "10", "spare": "16", "ahead": "1000"},
    "job/limited_heads": {
        "line_queues": "{default}", "line_types": "{note}", "line_priorities": "{2}",
        "line_groups": '{"[\\"user:1\\"]"}', "jobs": "{3}",
        "alone": "false",
    },
    "job/limited_waiters": {},
    "ageing/raise": {"queues": "{default}", "job_types": "{note}", "ages_s": "{60}", "batch": "1000"},
    "explain/turns": {
        "queue": "default", "job_type": "errand", "priority": "2", "ready_seq": "7", "key": "user:1", "most": "10000",
        "most_keys": "1000",
    },
    "upkeep/look": {**MINE, "most": "100"},
    "limit/acquire": {"keys": "{user:1,full}", "wanted": "{2,2}"},
    "slot/free": {"ids": "{1,2}"},
    "job/claim_limited": {
        "worker_id": "1", "ids": "{7}", "give_up_s": "{60}", "ready_seqs": "{7}",
        "slot_keys": "{user:1}", "slot_ns": "{1}", "slot_jobs": "{7}",
    },
}  # fmt: skip
Plans = dict[tuple[str, str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def filled(server_dsn: str) -> Iterator[str]:
    """The DSN of a database with all those jobs, statistics stale."""

    async def fill(dsn: str) -> None:
        async with await db.connect(dsn, name="tests") as conn:
            for sql in FILL:
                await conn.execute(sql)

    with fresh_database(server_dsn) as dsn:
        asyncio.run(fill(dsn))
        yield dsn


async def read(conn: Connection, name: LiteralString, **other: str) -> tuple[int, int]:
    """Run the statement and roll it back; rows of jobs that it looked at, and how many it took or returned."""
    sql = statement("jobs_core", name)
    values = {**STATEMENTS[name], **other}
    async with conn.transaction(force_rollback=True):
        rows = await fetch(conn, f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values)  # type: ignore[arg-type]  # ours
    plan = rows[0]["QUERY PLAN"][0]["Plan"]
    return _rows_of_jobs(plan), plan["Actual Rows"]


def _rows_of_jobs(plan: dict[str, Any]) -> int:
    own = 0
    if plan.get("Relation Name") == "jobs" and plan["Node Type"] != "ModifyTable":
        seen = (
            plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        )
        own = round(seen * plan["Actual Loops"])
    return own + sum(_rows_of_jobs(child) for child in plan.get("Plans", []))


async def test_jobs_behind_a_full_limit_cost_a_claim_nothing(filled: str) -> None:
    async with await db.connect(filled, name="tests") as conn:
        assert await read(conn, "job/claim") == (0, 0)
        assert await read(conn, "job/any_ready") == (0, 1)
        looked_at, _ = await read(conn, "job/limited")
        assert looked_at <= 20, "a step to each of four groups, and three jobs that could be claimed"
        seen = await fetch_one(conn, statement("jobs_core", "job/limited"), STATEMENTS["job/limited"])
        assert seen is not None
        assert seen["keys"] == {"user:1": 1, "user:2": 1, "user:3": 1}


async def test_a_user_with_a_hundred_thousand_jobs_costs_a_look_no_more_than_one_with_a_few(filled: str) -> None:
    async with await db.connect(filled, name="tests") as conn:
        looked_at, _ = await read(conn, "job/limited", job_types="{errand}")
        assert looked_at <= 51 + 26 * 27 // 2, "a step to each of 50 users, and jobs for as many turns as may be taken"


async def test_of_each_key_a_look_reads_no_more_jobs_than_have_slots(filled: str) -> None:
    """However many there is room for: a look at 60 of each of 1,500 keys took 2.4 s."""
    async with await db.connect(filled, name="tests") as conn:
        looked_at, _ = await read(conn, "job/limited", job_types="{bound}", jobs="100")
        assert looked_at <= 101 + 2 * 100, "a step to each of 100 keys, and a job for each of their slots"


@pytest.fixture(scope="module")
def plans(filled: str) -> Plans:
    """The plan of each statement by (statistics, how often it was run, name)."""

    async def explain_all() -> Plans:
        found: Plans = {}
        async with await db.connect(filled, name="tests") as conn:
            for statistics in ("stale", "fresh"):
                if statistics == "fresh":
                    await execute(conn, "ANALYZE jobs.jobs")
                    await execute(conn, "ANALYZE jobs.limit_slots")
                for name, arguments in STATEMENTS.items():
                    first, *_, tenth = await explain(conn, statement("jobs_core", name), arguments)
                    found[statistics, "new", name], found[statistics, "prepared", name] = first, tenth
        return found

    return asyncio.run(explain_all())


@pytest.mark.parametrize("run", ["new", "prepared"])
@pytest.mark.parametrize("statistics", ["stale", "fresh"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_jobs_and_slots_are_never_read_whole(plans: Plans, name: str, statistics: str, run: str) -> None:
    plan = plans[statistics, run, name]
    assert "Seq Scan" not in {kind for kind, _ in scans(plan)}
    assert "Seq Scan" not in _kinds_of_slots(plan)


def _kinds_of_slots(plan: dict[str, Any]) -> set[str]:
    own = {plan["Node Type"]} if plan.get("Relation Name") == "limit_slots" else set()
    return own.union(*(_kinds_of_slots(child) for child in plan.get("Plans", [])))
