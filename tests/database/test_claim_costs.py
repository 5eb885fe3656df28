"""What claims cost, in pages that Postgres looks at: with 20,000 jobs behind no more than in a queue of what they may take.

Each sort of job that may stand behind has a database of its own; statistics are stale (of the queue without them) or fresh.
"""

from collections.abc import Mapping
from typing import Any, LiteralString

import pytest

from jobs_core import Connection, Database, execute, fetch, statement
from jobs_core.claim import claim

BEHIND, READY = 20_000, 50
COLUMNS: LiteralString = "job_type, queue, priority, state, input, ready_seq"
LIMITS: LiteralString = (
    'jsonb_build_object(key, \'{"weight": 1, "slots": 9, "rate_per_s": null, "burst": null}\'::jsonb)'
)
CLAIMABLE: tuple[LiteralString, ...] = (
    "ALTER TABLE jobs.jobs SET (autovacuum_enabled = off)",
    """
    INSERT INTO jobs.workers (host, pid, queues, job_types, slots, lease_s, expires_at)
    SELECT 'here', n, '{}', '{}', 1, 600, clock_timestamp() + interval '1 hour' FROM generate_series(1, 2) AS n
    """,
    "INSERT INTO jobs.limits (key, slots, by_hand) VALUES ('full', 1, true), ('open', 9, true)",
    "INSERT INTO jobs.limit_slots (key, n, job_id, token) VALUES ('full', 1, 1, 1)",
    "INSERT INTO jobs.limit_slots (key, n) SELECT 'open', n FROM generate_series(1, 9) AS n",
    f"""
    INSERT INTO jobs.jobs ({COLUMNS})
    SELECT 'note', 'default', 2, 'pending', '{{}}', nextval('jobs.ready_seq') FROM generate_series(1, {READY})
    """,
    f"""
    INSERT INTO jobs.jobs ({COLUMNS}, limits, limit_group, alone, limited_alone)
    SELECT 'note', 'default', 2, 'pending', '{{}}', nextval('jobs.ready_seq'), {LIMITS}, jsonb_build_array(key)::text, NULL,
           false
    FROM generate_series(1, {READY}) CROSS JOIN (SELECT 'open') AS k (key)
    """,
    "ANALYZE jobs.jobs, jobs.limit_slots",
)
ANALYZED: tuple[LiteralString, ...] = ("ANALYZE jobs.jobs, jobs.limit_slots, jobs.history",)
MADE: LiteralString = f"FROM generate_series(1, {BEHIND}) AS n"
SORTS: dict[str, tuple[LiteralString, ...]] = {
    "deferred": (
        f"""
        INSERT INTO jobs.jobs ({COLUMNS}, scheduled_for)
        SELECT 'note', 'default', 2, 'pending', '{{}}', NULL, now() + n * interval '1 min' {MADE}
        """,
    ),
    "of lower priority": (
        f"INSERT INTO jobs.jobs ({COLUMNS}) SELECT 'note', 'default', 4, 'pending', '{{}}', n + 1000 {MADE}",
    ),
    "blocked in one lane": (
        f"""
        INSERT INTO jobs.jobs ({COLUMNS}, lane, lane_pos)
        SELECT 'note', 'default', 2, 'blocked', '{{}}', NULL, 'one', n {MADE}
        """,
    ),
    "of an unknown type": (
        f"INSERT INTO jobs.jobs ({COLUMNS}) SELECT 'unknown', 'default', 0, 'pending', '{{}}', n - {BEHIND} {MADE}",
    ),
    "of another queue": (
        f"INSERT INTO jobs.jobs ({COLUMNS}) SELECT 'note', 'theirs', 0, 'pending', '{{}}', n - {BEHIND} {MADE}",
    ),
    "of a paused type": (
        f"INSERT INTO jobs.jobs ({COLUMNS}) SELECT 'brief_note', 'default', 0, 'pending', '{{}}', n - {BEHIND} {MADE}",
        "INSERT INTO jobs.pauses (job_type, because, set_by) VALUES ('brief_note', 'operator', 'ann')",
    ),
    "behind a full limit": (
        f"""
        INSERT INTO jobs.jobs ({COLUMNS}, limits, limit_group, alone, limited_alone)
        SELECT 'note', 'default', 0, 'pending', '{{}}', n - {BEHIND}, {LIMITS}, jsonb_build_array(key)::text, NULL, false
        {MADE} CROSS JOIN (SELECT 'full') AS k (key)
        """,
    ),
    "held by another worker": (
        f"""
        INSERT INTO jobs.jobs ({COLUMNS}, worker_id, token)
        SELECT 'note', 'default', 0, 'running', '{{}}', NULL, 2, n {MADE}
        """,
    ),
    "waiting for an event": (
        f"""
        INSERT INTO jobs.jobs ({COLUMNS}, wait_event, waiting_since)
        SELECT 'note', 'default', 0, 'waiting', '{{}}', NULL, 'paid', now() {MADE}
        """,
    ),
    "that run alone": (
        f"INSERT INTO jobs.jobs ({COLUMNS}, alone) SELECT 'note', 'default', 0, 'pending', '{{}}', n - {BEHIND}, true {MADE}",
    ),
    "ended": (
        f"""
        INSERT INTO jobs.history (id, job_type, queue, priority, state, input, retry_count, lost_count, created_at)
        SELECT -n, 'note', 'default', 2, 'complete', '{{}}', 0, 0, now() {MADE}
        """,
    ),
}
MINE: dict[str, Any] = {"queues": ["default"], "job_types": ["note", "brief_note"]}
CLAIM = {**MINE, "worker_id": 1, "give_up_s": [60.0, 60.0], "floors": [-BEHIND] * 5}
STATEMENTS: dict[str, tuple[LiteralString, dict[str, Any]]] = {
    "a claim of one": ("job/claim", {**CLAIM, "slots": 1}),
    "a wave": ("job/claim", {**CLAIM, "slots": 40}),
    "the look after a short claim": ("job/any_ready", MINE),
    "a look for jobs with limits": (
        "job/limited",
        {**MINE, "alone": False, "after": "", "groups": 200, "jobs": 9, "spare": 16, "ahead": 1000},
    ),
    "whom a freed slot is for": ("job/limited_waiters", {}),
    "how many are before a job": (
        "explain/ahead",
        {"queue": "default", "job_type": "note", "priority": 2, "ready_seq": 9, "limit_group": None, "most": 10_000},
    ),
    "about when it starts": (
        "explain/rate",
        {"id": 9, "queue": "default", "job_type": "note", "within_s": 300.0, "since": "2020-01-01", "most": 100},
    ),
    "a limit, but not who waits for it": ("limit/list", {"key": "open", "after": "", "limit": 1, "most": 0}),
    "upkeep's look": ("upkeep/look", {**MINE, "most": 100}),
}


HEAD = 1_000_000
LANE: LiteralString = f"""
INSERT INTO jobs.jobs (id, {COLUMNS}, lane, lane_pos, worker_id, token)
SELECT {HEAD} - 1 + n, 'note', 'default', 2, CASE n WHEN 1 THEN 'claimed' ELSE 'blocked' END, '{{}}', NULL, 'long', n,
       CASE n WHEN 1 THEN 2 END, CASE n WHEN 1 THEN 7 END
"""
LANE_ROW: LiteralString = "INSERT INTO jobs.lanes (lane, next_pos, head_pos) VALUES ('long', 100000, 1)"
INTO_LANE: dict[str, Any] = {
    **{name: ["note"] for name in ("job_type", "queue")},
    **{
        name: [None]
        for name in ("user_id", "task_id", "project_id", "unique_key", "unique_while", "limits", "limit_group")
    },
    **{name: [None] for name in ("time", "delay_s")},
    "priority": [2],
    "input": ["{}"],
    "lane": ["long"],
}
OF_A_LANE: dict[str, tuple[LiteralString, dict[str, Any]]] = {
    "its lock": ("lane/lock", {"lanes": ["long"]}),
    "the end of its head": (
        "job/end",
        {
            "id": HEAD,
            "token": 7,
            "state": "complete",
            "result": None,
            "error": None,
            "reason": None,
            "retention": "standard",
        },
    ),
    "its next head": ("lane/promote", {"lane": "long"}),
    "a create into it": ("job/create", INTO_LANE),
}
FROM_THE_HEAD = '>= coalesce((SELECT head_pos FROM "jobs".lanes WHERE lane = %(lane)s), 0)'


async def pages(conn: Connection, sql: str, values: dict[str, Any]) -> int:
    """How many pages the statement looks at; it is rolled back."""
    async with conn.transaction(force_rollback=True):
        (row,) = await fetch(conn, f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", values)
    plan = row["QUERY PLAN"][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def costs(conn: Connection, statements: Mapping[str, tuple[LiteralString, dict[str, Any]]]) -> dict[str, int]:
    """By statement; each had been run before, so that this connection knows its tables."""
    found = dict[str, int]()
    for what, (name, values) in [*statements.items(), *statements.items()]:
        found[what] = await pages(conn, statement("jobs_core", name), values)
    return found


async def run(conn: Connection, *statements: LiteralString) -> None:
    for sql in statements:
        await execute(conn, sql)


def dearer(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, str]:
    """What has become dearer: a larger queue's indexes are two pages deeper, and to walk over it is some hundred pages."""
    return {what: f"{before[what]} ─▶ {n}" for what, n in now.items() if n > 2 * before[what] + 15}


@pytest.mark.parametrize("sort", SORTS)
async def test_claims_cost_no_more_with_20_000_jobs_behind(conn: Connection, sort: str) -> None:
    await run(conn, *CLAIMABLE)
    before = await costs(conn, STATEMENTS)
    await run(conn, *SORTS[sort])
    assert dearer(await costs(conn, STATEMENTS), before) == {}, "statistics are stale"
    await run(conn, *ANALYZED)
    assert dearer(await costs(conn, STATEMENTS), before) == {}, "statistics are fresh"
    assert len(await claim(conn, worker_id=1, slots=READY, **MINE)) == READY


@pytest.mark.parametrize("sort", ["of an unknown type", "of another queue"])
async def test_without_what_leads_their_index_claims_would_walk_over_those_behind(conn: Connection, sort: str) -> None:
    """The mutant of the test above."""
    await run(conn, *CLAIMABLE, "DROP INDEX jobs.jobs_ready")
    await run(conn, "CREATE INDEX ON jobs.jobs (priority, ready_seq) WHERE ready_seq IS NOT NULL")
    before = await costs(conn, STATEMENTS)
    await run(conn, *SORTS[sort], *ANALYZED)
    assert "a claim of one" in dearer(await costs(conn, STATEMENTS), before)


async def test_a_long_lane_costs_its_settles_and_creates_no_more_than_a_short_one(conn: Connection) -> None:
    await run(conn, *CLAIMABLE, LANE_ROW, LANE + "FROM generate_series(1, 3) AS n")
    before = await costs(conn, OF_A_LANE)
    await run(conn, LANE + f"FROM generate_series(4, {BEHIND}) AS n")
    assert dearer(await costs(conn, OF_A_LANE), before) == {}, "statistics are stale"
    await run(conn, *ANALYZED)
    assert dearer(await costs(conn, OF_A_LANE), before) == {}, "statistics are fresh"


async def test_who_was_before_the_head_of_a_lane_costs_its_settle_nothing_while_a_snapshot_is_held(
    database: Database, conn: Connection
) -> None:
    """Their index entries are dead and cannot be cleaned away; without its floor a promotion walks over all of them."""
    gone = 5_000
    await run(conn, *CLAIMABLE, LANE_ROW, LANE + f"FROM generate_series(1, {BEHIND}) AS n")
    promote = statement("jobs_core", "lane/promote")
    async with await database.connect("holder") as holder, holder.transaction():
        await holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await holder.execute("SELECT count(*) FROM jobs.jobs")
        await run(conn, f"DELETE FROM jobs.jobs WHERE lane_pos <= {gone}", f"UPDATE jobs.lanes SET head_pos = {gone}")
        looked_at = [await pages(conn, promote, {"lane": "long"}) for _ in range(3)]
        assert min(looked_at) < 50, "once its connection knows the tables"
        walking = promote.replace(FROM_THE_HEAD, "IS NOT NULL")
        assert walking != promote
        assert await pages(conn, walking, {"lane": "long"}) > 100
