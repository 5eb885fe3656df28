"""jobs.create, and sql_create in front of it, do what Jobs.create does: every column of every table is compared."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from jobs_core import Complete, Connection, Database, InvalidInput, Jobs, JobType, NewJob, execute, fetch, sql_create
from jobs_core.declare import declare_types
from jobs_core.settle import settle
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll
from tests.support.job_types import LANE_NOTE, NOTE, Note
from tests.support.limits import LANE_BOUND, Bound, rate_of, slots_of
from tests.support.sql_create import create_by_sql, mutate
from tests.support.turns import ERRAND, LANE_ERRAND, LIMITED_ERRAND, OF_PROJECT, OF_USER, Errand
from tests.support.turns import TYPES as TURNS

KEYED = JobType(
    "keyed_note",
    Note,
    queue="mail",
    priority=1,
    lane=lambda note: note.lane,
    unique_key=lambda note: note.text or None,
    unique_while="unstarted",
    idempotency_for=timedelta(hours=2),
)
LATER = datetime(2090, 1, 2, 3, 4, 5, 600, tzinfo=UTC)
PAST = datetime(1, 1, 1, tzinfo=UTC)
SPANS = {"unique_key": "u", "debounce": timedelta(minutes=10), "debounce_at_most": timedelta(minutes=30)}
ALL = {
    "user_id": "ada",
    "task_id": -(2**63),
    "project_id": "π",
    "queue": "other",
    "priority": 4,
    "idempotency_key": "k",
    "unique_key": "u",
}

Step = tuple[JobType[Any], Any, dict[str, Any]]
Door = Callable[[Connection, Step], Awaitable[tuple[int, bool]]]

STATE = """
SELECT 'job' AS kind, to_jsonb(j) - 'id' - 'created_at' - 'ready_seq' - 'debounce_until'
       || jsonb_build_object('nth', row_number() OVER (ORDER BY id), 'ready', ready_seq IS NOT NULL)
       || CASE WHEN debounce_until IS NULL THEN '{}' ELSE jsonb_build_object(
              'scheduled_for', round(extract(epoch FROM scheduled_for - clock_timestamp()) / 60),
              'last', round(extract(epoch FROM debounce_until - clock_timestamp()) / 60)) END AS of
FROM jobs.jobs AS j
UNION ALL
SELECT 'lane', to_jsonb(l) FROM jobs.lanes AS l
UNION ALL
SELECT 'key', to_jsonb(k) - 'job_id' - 'expires_at' || jsonb_build_object(
    'nth', (SELECT count(*) FROM jobs.jobs WHERE id <= job_id),
    'hours', round(extract(epoch FROM expires_at - clock_timestamp()) / 3600))
FROM jobs.job_keys AS k
ORDER BY 1, 2
"""


@pytest.fixture(autouse=True)
async def declared(conn: Connection, jobs: Jobs) -> None:
    """SQL knows the tests' types."""
    jobs.table.declare_all([KEYED, LANE_BOUND, *TURNS])
    await declare_types(conn, jobs.table.job_types)


def through_python(jobs: Jobs) -> Door:
    async def create(conn: Connection, step: Step) -> tuple[int, bool]:
        job_type, note, more = step
        created = await jobs.create(job_type, note, conn=conn, **more)
        return created.id, bool(created.met)

    return create


async def through_sql(conn: Connection, step: Step) -> tuple[int, bool]:
    """As somebody would write it who knows what Python computes."""
    job_type, note, more = step
    given = dict(more)
    if job_type.lane:
        given["lane"] = job_type.lane(note)
    if callable(job_type.fair_by):
        given["fair_by"] = job_type.fair_by(note) or ""
    if job_type.limits:
        given["limits"] = json.dumps({limit.pop("key"): limit for limit in map(asdict, job_type.limits(note))})
    if job_type.unique_key and "unique_key" not in more:
        key = job_type.unique_key(note)
        given.update({"unique_key": key} if key else {"unique_while": "none"})
    return await create_by_sql(conn, job_type.name, note.model_dump_json(), **given)


async def through_driver(conn: Connection, step: Step) -> tuple[int, bool]:
    job_type, note, more = step
    call = sql_create(NewJob(job_type, note, **more), placeholder="%(job)s")
    (row,) = await fetch(conn, call.sql, {"job": call.job})
    return row["id"], row["met"]


async def made(database: Database, door: Door, steps: list[Step]) -> tuple[list[tuple[int, bool]], list[Any]]:
    """For each step the job that stands for it, counted from 0, and whether it was met; and what is in the tables then."""
    async with database.connection() as conn, conn.transaction(force_rollback=True):
        seen = [await door(conn, step) for step in steps]
        first = min(job_id for job_id, _ in seen)
        state = await fetch(conn, STATE)
        return [(job_id - first, met) for job_id, met in seen], state


CASES: dict[str, list[Step]] = {
    "plain": [(NOTE, Note(), {})],
    "everything": [(NOTE, Note(text='"\\ é \U0001f600'), {**ALL, "scheduled_for": LATER})],
    "due already": [(NOTE, Note(), {"scheduled_for": PAST})],
    "a lane": [(LANE_NOTE, Note(lane="a"), {}), (LANE_NOTE, Note(lane="a"), {}), (LANE_NOTE, Note(lane="b"), {})],
    "later in a lane": [(LANE_NOTE, Note(lane="a"), {"scheduled_for": LATER}), (LANE_NOTE, Note(lane="a"), {})],
    "a lane, then later": [(LANE_NOTE, Note(lane="a"), {}), (LANE_NOTE, Note(lane="a"), {"scheduled_for": LATER})],
    "an event twice": [(NOTE, Note(text="x"), {"idempotency_key": "e"})] * 2,
    "an event, another type": [
        (NOTE, Note(), {"idempotency_key": "e"}),
        (KEYED, Note(lane="a"), {"idempotency_key": "e"}),
    ],
    "a unique key twice": [(NOTE, Note(), {"unique_key": "u"})] * 2,
    "unstarted": [(NOTE, Note(), {"unique_key": "u", "unique_while": "unstarted"})] * 2,
    "computed": [(KEYED, Note(lane="a", text="t"), {})] * 2,
    "computed, and none": [(KEYED, Note(lane="a"), {})] * 2,
    "given over computed": [
        (KEYED, Note(lane="a", text="t"), {}),
        (KEYED, Note(lane="a", text="t"), {"unique_key": "u"}),
    ],
    "an event that meets a unique key": [
        (NOTE, Note(), {"unique_key": "u"}),
        (NOTE, Note(), {"unique_key": "u", "idempotency_key": "e"}),
        (NOTE, Note(), {"idempotency_key": "e"}),
    ],
    "a unique key that comes with a repeat": [
        (NOTE, Note(), {"idempotency_key": "e"}),
        (NOTE, Note(), {"idempotency_key": "e", "unique_key": "u"}),
        (NOTE, Note(), {"unique_key": "u"}),
    ],
    "limits": [
        (LANE_BOUND, Bound(lane="a", limits=[slots_of("b", 5, weight=2), rate_of("a", 0.5), rate_of("B", 7, 3)]), {}),
        (LANE_BOUND, Bound(lane="a", limits=[slots_of("é", 0)]), {"scheduled_for": LATER}),
        (LANE_BOUND, Bound(lane="a"), {}),
    ],
    "turns": [
        (ERRAND, Errand(user='"é\\\x07'), {}),
        (ERRAND, Errand(), {"scheduled_for": LATER}),
        (LIMITED_ERRAND, Errand(user="a", limits={"b": 1, "a": 2}), {"unique_key": "u"}),
        (LIMITED_ERRAND, Errand(user="a"), {}),
        (LANE_ERRAND, Errand(user="a", lane="a"), {}),
        (LANE_ERRAND, Errand(user="b", lane="a"), {}),
    ],
    "turns by user and project": [
        (OF_USER, Errand(), {"user_id": "ada", "project_id": "π"}),
        (OF_PROJECT, Errand(), {"user_id": "ada", "project_id": "π"}),
        (OF_USER, Errand(), {"project_id": "π"}),
        (OF_PROJECT, Errand(), {"user_id": "ada"}),
    ],
    "debounced": [(NOTE, Note(text="x"), SPANS), (NOTE, Note(text="y"), SPANS)],
    "debounced for longer": [
        (NOTE, Note(text="x"), SPANS),
        (NOTE, Note(text="y"), {**SPANS, "debounce": timedelta(minutes=5), "debounce_at_most": timedelta(minutes=5)}),
        (NOTE, Note(text="z"), {**SPANS, "debounce": timedelta(hours=2), "debounce_at_most": timedelta(hours=3)}),
    ],
    "debounced when it was not": [
        (NOTE, Note(text="x"), {"unique_key": "u", "unique_while": "unstarted"}),
        (NOTE, Note(text="y"), SPANS),
        (NOTE, Note(text="x"), {"unique_key": "v", "scheduled_for": LATER}),
        (NOTE, Note(text="y"), {**SPANS, "unique_key": "v"}),
    ],
    "a poke of a debounced job": [
        (NOTE, Note(text="x"), SPANS),
        (NOTE, Note(text="y"), {"unique_key": "u", "unique_while": "unstarted"}),
    ],
    "debounced with limits in a lane": [
        (LANE_BOUND, Bound(lane="a", limits=[slots_of("b", 5)]), SPANS),
        (LANE_BOUND, Bound(lane="a", limits=[slots_of("b", 5, weight=2), rate_of("a", 0.5)]), SPANS),
    ],
    "a debounced event twice": [
        (NOTE, Note(text="x"), {**SPANS, "idempotency_key": "e"}),
        (NOTE, Note(text="y"), {**SPANS, "idempotency_key": "f"}),
        (NOTE, Note(text="x"), {**SPANS, "idempotency_key": "e"}),
    ],
    "debounced with a key that Python computes": [(KEYED, Note(lane="a", text="t"), {**SPANS, "unique_key": "t"})] * 2,
    "met in a lane": [(KEYED, Note(lane="a", text="t"), {}), (KEYED, Note(lane="b", text="t"), {})],
}


@pytest.mark.parametrize("case", CASES)
async def test_all_doors_make_the_same_rows(database: Database, jobs: Jobs, case: str) -> None:
    expected = await made(database, through_python(jobs), CASES[case])
    assert await made(database, through_sql, CASES[case]) == expected
    assert await made(database, through_driver, CASES[case]) == expected


async def test_the_doors_meet_each_others_jobs(jobs: Jobs, conn: Connection) -> None:
    doors = [through_python(jobs), through_sql, through_driver]
    for number, first in enumerate(doors):
        event = (NOTE, Note(text="x"), {"idempotency_key": f"e{number}"})
        unique = (NOTE, Note(), {"unique_key": f"u{number}"})
        for step in (event, unique):
            job_id, met = await first(conn, step)
            assert not met
            assert [await door(conn, step) for door in doors] == [(job_id, True)] * 3


async def test_a_column_that_the_function_forgot_would_be_seen(
    database: Database, jobs: Jobs, conn: Connection
) -> None:
    await mutate(conn, "jobs.add_job", ("made.user_id, made.task_id", "made.user_id, NULL"))
    expected = await made(database, through_python(jobs), CASES["everything"])
    assert await made(database, through_sql, CASES["everything"]) != expected


async def test_a_span_from_now_is_counted_by_postgres_clock(conn: Connection) -> None:
    await through_driver(conn, (NOTE, Note(), {"scheduled_for": timedelta(hours=1)}))
    await through_driver(conn, (NOTE, Note(), {"scheduled_for": timedelta(hours=-1)}))
    due = await fetch(conn, "SELECT round(extract(epoch FROM scheduled_for - now())) AS s FROM jobs.jobs ORDER BY id")
    assert [row["s"] for row in due] == [pytest.approx(3600, abs=10), None]


async def test_a_debounced_job_says_when_it_is_due(conn: Connection) -> None:
    due = (
        "SELECT id, due_at FROM jobs.create('note', unique_key => 'k', debounce => '1 min', debounce_at_most => '1 h')"
    )
    for _ in range(2):
        assert await fetch(conn, due) == await fetch(conn, "SELECT id, scheduled_for AS due_at FROM jobs.jobs")
    assert await fetch(conn, "SELECT due_at FROM jobs.create('note', unique_key => 'k')") == [{"due_at": None}]


async def test_what_a_type_says_holds_until_it_is_declared_anew(conn: Connection) -> None:
    changed = JobType("note", Note, queue="mail", priority=0)
    await create_by_sql(conn, "note")
    assert [await declare_types(conn, [changed]) for _ in range(2)] == [1, 0]
    await create_by_sql(conn, "note")
    rows = await fetch(conn, "SELECT queue, priority FROM jobs.jobs ORDER BY id")
    assert [tuple(row.values()) for row in rows] == [("default", 2), ("mail", 0)]


async def test_a_job_made_by_sql_is_run_and_its_lane_goes_on(conn: Connection, claim_all: ClaimAll) -> None:
    for text in "xy":
        await create_by_sql(conn, "lane_note", f'{{"lane": "a", "text": "{text}"}}', lane="a")
    for text in "xy":
        (head,) = await claim_all()
        assert head.input["text"] == text
        await settle(conn, head, Complete(), LANE_NOTE)


async def test_a_job_is_there_if_and_only_if_its_callers_transaction_commits(
    database: Database, conn: Connection
) -> None:
    class Undone(Exception):
        pass

    with pytest.raises(Undone):
        async with database.transaction() as own:
            await create_by_sql(own, "note", idempotency_key="e")
            await create_by_sql(own, "lane_note", lane="a")
            raise Undone
    assert await fetch(conn, STATE) == []


async def test_inside_a_trigger_it_is_part_of_what_set_it_off(conn: Connection) -> None:
    await execute(conn, "CREATE TABLE orders (n integer)")
    await execute(
        conn,
        """
        CREATE FUNCTION on_order() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM jobs.create('note', jsonb_build_object('text', NEW.n::text), idempotency_key => 'order ' || NEW.n);
            RETURN NEW;
        END $$;
        CREATE TRIGGER on_order BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION on_order();
        """,
    )
    await execute(conn, "INSERT INTO orders VALUES (1), (2), (1)")
    assert [row["text"] for row in await fetch(conn, "SELECT input ->> 'text' AS text FROM jobs.jobs")] == ["1", "2"]


async def test_with_an_older_snapshot_what_others_did_since_is_an_error_to_begin_again_from(
    database: Database, conn: Connection
) -> None:
    for arguments in ({"lane": "a", "job_type": "lane_note"}, {"unique_key": "u"}, {"idempotency_key": "e"}):
        given = {"job_type": "note", **arguments}
        async with database.connection() as old:
            await execute(old, "BEGIN ISOLATION LEVEL REPEATABLE READ")
            await fetch(old, "SELECT FROM jobs.jobs")
            await create_by_sql(conn, **given)
            with pytest.raises(psycopg.errors.SerializationFailure):
                await create_by_sql(old, **given)
            await execute(old, "ROLLBACK")


async def tables_read_whole(conn: Connection) -> set[str]:
    """Those that creates read from their first row to their last, with plans made while they were small."""
    await execute(conn, "INSERT INTO jobs.lanes VALUES ('z', 2, 1)")
    await execute(conn, "ANALYZE jobs.jobs, jobs.lanes, jobs.job_keys, jobs.job_types")
    async with conn.transaction():
        for n in range(20):
            await create_by_sql(
                conn, "keyed_note", lane=f"lane {n % 3}", unique_key=f"u{n % 5}", idempotency_key=f"e{n}"
            )
        reads = await fetch(conn, "SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE schemaname = 'jobs'")
    return {row["relname"] for row in reads if row["seq_scan"]}


async def test_no_table_is_read_whole_however_small_it_was_when_the_session_began(conn: Connection) -> None:
    assert await tables_read_whole(conn) == set()


async def test_as_the_planner_likes_it_a_session_would_go_on_to_read_tables_whole(conn: Connection) -> None:
    await execute(conn, "ALTER FUNCTION jobs.create RESET enable_seqscan")
    assert await tables_read_whole(conn) != set()


async def test_a_statement_needs_the_type_itself_and_says_what_to_wake() -> None:
    with pytest.raises(InvalidInput, match="job_type: give the JobType itself"):
        sql_create(NewJob("note", {}))
    with pytest.raises(InvalidInput, match=r"input\.text"):
        sql_create(NewJob(NOTE, {"text": 1}))
    assert sql_create(NewJob(NOTE, {}, queue="mail")).ready == Ready("mail", "note")
