"""Plans: no statement on a job's way reads the whole of `jobs`, whatever the planner was last told of it.

1,000,000 jobs stand beside: ready ones of a type that this worker does not know, deferred ones, blocked ones, and those of one
long lane. Statistics are stale (taken of the empty table) or fresh; a statement is new to its connection, or has been prepared
and run so often that Postgres may have chosen its generic plan, which knows no values.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from jobs_core import Database, db, execute, statement
from tests.support.database import fresh_database
from tests.support.plans import Arguments, Plans, explain, explain_all, index_conditions

ROWS = 1_000_000
FILL = (
    "ALTER TABLE jobs.jobs SET (autovacuum_enabled = off)",
    "ANALYZE jobs.jobs",
    """
    INSERT INTO jobs.workers (host, pid, queues, job_types, slots, lease_s, expires_at)
    VALUES ('here', 1, '{}', '{}', 1, 600, clock_timestamp() + interval '1 hour')
    """,
    "INSERT INTO jobs.lanes (lane, next_pos, head_pos) VALUES ('long', 100000, 1)",
    f"""
    INSERT INTO jobs.jobs (job_type, queue, priority, state, input, lane, lane_pos, ready_seq, scheduled_for)
    SELECT 'unknown', 'default', 2, CASE n % 4 WHEN 2 THEN 'blocked' ELSE 'pending' END, '{{}}',
           CASE n % 4 WHEN 2 THEN 'long' WHEN 3 THEN 'lane' || n END, CASE n % 4 WHEN 2 THEN n END,
           CASE n % 4 WHEN 0 THEN nextval('jobs.ready_seq') END,
           CASE WHEN n % 4 IN (1, 3) THEN now() + interval '1 day' + n * interval '1 ms' END
    FROM generate_series(1, {ROWS}) AS n
    """,
)

NAMES = {"queues": "{default,other}", "job_types": "{note,brief_note}"}
CLAIM = {**NAMES, "worker_id": "1", "give_up_s": "{60,60}", "floors": "{0,0,0,0}", "slots": "10"}
RUN = {"id": "7", "token": "1"}
TOGETHER = {"ids": "{7,8}", "tokens": "{1,2}"}
GONE = {"worker_ids": "{7}", "batch": "1000", "max_lost": "3", "error": "lost", "unsuspected": "{deliver}"}
STATEMENTS: dict[str, Arguments] = {
    "job/claim": CLAIM,
    "job/claim_alone": {**NAMES, "worker_id": "1", "give_up_s": "60"},
    "job/any_ready": CLAIM,
    "job/start": RUN,
    "job/fence": RUN,
    "job/start_many": TOGETHER,
    "job/end": {**RUN, "state": "complete", "result": None, "error": None, "reason": None, "retention": "standard"},
    "job/end_many": {**TOGETHER, "results": "{null,null}", "retentions": "{standard,short}"},
    "job/end_many_counted": TOGETHER,
    "job/put_back": {
        **RUN,
        "time": None,
        "delay_s": "30",
        "charge": "1",
        "error": None,
        "reason": "error",
        "final": "true",
    },
    "job/put_back_strays": {
        "worker_id": "1",
        "ids": "{7,8}",
        "error": "lost",
        "suspected": "true",
        "unsuspected": "{deliver}",
    },
    "job/unsuspect": {**NAMES, "batch": "1000"},
    "job/promote": {"batch": "1000"},
    "job/due_for_lanes": {"batch": "1000"},
    "job/join": {"lanes": "{long,lane3}", "batch": "1000"},
    "job/rescue": GONE,
    "job/crashed": GONE,
    "job/wait": {**RUN, "over": "false", "event": "paid", "time": None, "delay_s": "30"},
    "job/go_on": {"batch": "1000"},
    "job/lock": {"id": "7"},
    "job/has_children": {"id": "7"},
    "job/wake_parent": {"id": "7"},
    "cancel/ask": {"ids": "{7}", "reason": None},
    "cancel/asked": {"worker_id": "1"},
    "cancel/end": {"id": "7", "reason": None, "retention": "standard"},
    "lane/promote": {"lane": "long"},
    "lane/send_back": {"lane": "long"},
    "lane/to_front": {"lane": "long", "id": "7"},
    "lane/list": {"lane": None, "held": "false", "after": "", "limit": "10", "most": "1000"},
    "sticky/set": {"ids": "{7,8}", "keys": "{a,b}", "spans_s": "{2,2}"},
    "sticky/prefer": {"ids": "{7,8}"},
    "sticky/claim": CLAIM,
    "sticky/remember": RUN,
    "sticky/let_go": {"worker_id": "1"},
    "redrive/link": {"ids": "{1,2}", "successor_ids": "{7,8}"},
    "note/write": {
        **TOGETHER,
        **dict.fromkeys(("of", "ns"), "{1,2}"),
        **dict.fromkeys(("kinds", "texts", "data"), "{log,log}"),
        "said_at": "{now,now}",
    },
    "upkeep/look": {**NAMES, "most": "100"},
    "metrics/look": {"most": "100"},
    "metrics/oldest": {"most": "100"},
    "worker/gone": {},
}
BY_PRIMARY_KEY = [
    "job/start",
    "job/start_many",
    "job/fence",
    "job/end",
    "job/end_many",
    "job/end_many_counted",
    "job/put_back",
    "job/wait",
    "job/lock",
    "cancel/end",
    "sticky/set",
    "sticky/remember",
    "redrive/link",
    "note/write",
]
ORDERED = "ORDER BY j.priority, j.ready_seq  -- or fresh statistics choose to read the whole table"


@pytest.fixture(scope="module")
def plans(server_dsn: str) -> Iterator[Plans]:
    """On one database for all tests here."""

    async def explained(dsn: str) -> Plans:
        async with await db.connect(dsn, name="tests") as conn:
            found = await explain_all(conn, STATEMENTS, fill=FILL, tables="jobs.jobs")
            by_the_wall = statement("jobs_core", "job/promote").replace("now()", "clock_timestamp()")
            found["fresh", "new", "promote by clock_timestamp"] = (await explain(conn, by_the_wall, {"batch": "10"}))[0]
            unordered = statement("jobs_core", "job/any_ready").replace(ORDERED, "")
            found["fresh", "new", "any_ready without its order"] = (await explain(conn, unordered, CLAIM))[0]
        return found

    with fresh_database(server_dsn) as dsn:
        yield asyncio.run(explained(dsn))


def scans(plan: dict[str, Any]) -> set[tuple[str, str]]:
    """How `jobs` is read: (kind of node, index or "")."""
    found = {(plan["Node Type"], plan.get("Index Name", ""))} if plan.get("Relation Name") == "jobs" else set()
    if plan["Node Type"] == "Bitmap Index Scan":
        found.add((plan["Node Type"], plan["Index Name"]))
    return found.union(*(scans(child) for child in plan.get("Plans", []))) - {("ModifyTable", "")}


@pytest.mark.parametrize("run", ["new", "prepared"])
@pytest.mark.parametrize("statistics", ["stale", "fresh"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_jobs_is_never_read_whole(plans: Plans, name: str, statistics: str, run: str) -> None:
    found = scans(plans[statistics, run, name])
    assert found, "it reads jobs"
    assert "Seq Scan" not in {kind for kind, _ in found}


@pytest.mark.parametrize("run", ["new", "prepared"])
@pytest.mark.parametrize("statistics", ["stale", "fresh"])
@pytest.mark.parametrize("name", BY_PRIMARY_KEY)
def test_what_writes_for_a_run_finds_its_job_by_primary_key(plans: Plans, name: str, statistics: str, run: str) -> None:
    assert {index for _, index in scans(plans[statistics, run, name])} == {"jobs_pkey"}


@pytest.mark.parametrize("run", ["new", "prepared"])
@pytest.mark.parametrize("statistics", ["stale", "fresh"])
@pytest.mark.parametrize("name", ["job/promote", "job/due_for_lanes", "job/join"])
def test_what_is_not_due_is_never_walked_over(plans: Plans, name: str, statistics: str, run: str) -> None:
    assert "scheduled_for <= now()" in " ".join(index_conditions(plans[statistics, run, name]))


def test_by_clock_timestamp_which_no_index_can_be_asked_for_it_would_be(plans: Plans) -> None:
    assert "scheduled_for" not in " ".join(index_conditions(plans["fresh", "new", "promote by clock_timestamp"]))


def test_without_its_order_the_look_for_ready_jobs_would_read_the_whole_table(plans: Plans) -> None:
    assert ORDERED in statement("jobs_core", "job/any_ready")
    assert ("Seq Scan", "") in scans(plans["fresh", "new", "any_ready without its order"])


HUNDREDS = f"{{{','.join(map(str, range(1, 501)))}}}"
SMALL = [("job/claim", {**CLAIM, "slots": "500"}, ("j.id = ANY(ARRAY(SELECT id FROM due)) AND ", ""))] + [
    (
        name,
        {**STATEMENTS[name], "ids": HUNDREDS, "tokens": HUNDREDS},
        ("(SELECT %(ids)s::bigint[])", "%(ids)s::bigint[]"),
    )
    for name in ("job/start_many", "job/end_many_counted")
]


async def test_hundreds_of_jobs_are_found_by_their_ids_in_a_small_table_too(database: Database) -> None:
    """Read whole for each five hundred, a queue of 30,000 was drained at a sixth of the speed; so it is without the guard."""
    async with database.connection() as conn:
        await execute(conn, FILL[2])
        await execute(
            conn,
            "INSERT INTO jobs.jobs (job_type, queue, priority, state, input, ready_seq) "
            "SELECT 'note', 'default', 2, 'pending', jsonb_build_object('text', repeat('x', 64)), n "
            "FROM generate_series(1, 30000) AS n",
        )
        await execute(conn, "ANALYZE jobs.jobs")
        for name, arguments, (guard, without) in SMALL:
            sql = statement("jobs_core", name)
            assert "Seq Scan" not in {kind for kind, _ in scans((await explain(conn, sql, arguments))[0])}, name
            plain = sql.replace(guard, without).replace("(SELECT %(tokens)s::bigint[])", "%(tokens)s::bigint[]")
            assert plain != sql
            assert "Seq Scan" in {kind for kind, _ in scans((await explain(conn, plain, arguments))[0])}, name
