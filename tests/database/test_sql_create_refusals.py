"""What jobs.create refuses: by the argument's name, in the message and as the error's column, and with a code to branch on."""

import json
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from jobs_core import Connection, InvalidInput, JobType, execute, fetch, gate
from jobs_core.declare import declare_types
from tests.support.job_types import LANE_NOTE, NOTE, Note
from tests.support.limits import BOUND
from tests.support.sql_create import create_by_sql, mutate
from tests.support.turns import ERRAND, LIMITED_ERRAND, OF_USER

KEYED = JobType("keyed_note", Note, unique_key=lambda note: note.text)
MERGED = JobType("merged_note", Note, unique_while="unstarted", merge=lambda old, _: old)
SPANS = {"unique_key": "u", "debounce": "1 min", "debounce_at_most": "1 h"}
INVALID, UNKNOWN, REUSED = "22023", "42704", "42710"


@pytest.fixture(autouse=True)
async def declared(conn: Connection) -> None:
    """SQL knows these types."""
    await declare_types(conn, [NOTE, LANE_NOTE, KEYED, MERGED, BOUND, ERRAND, LIMITED_ERRAND, OF_USER])


def nested(levels: int, innermost: str = "[]") -> str:
    """Something at that depth, the outermost at 0."""
    return "[" * levels + innermost + "]" * levels


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ({"job_type": "nobody's"}, UNKNOWN, "job_type: no job type is called 'nobody''s'; a worker that starts, or"),
        ({"job_type": None}, UNKNOWN, "job_type: no job type is called NULL"),
        ({"job_input": None}, INVALID, "input: is missing"),
        ({"job_input": nested(65)}, INVALID, "input: nested deeper than 64"),
        ({"job_input": '{"a": [1e400]}'}, INVALID, "input: holds a number that no double can hold"),
        ({"job_input": json.dumps({"k" * 1001: 1})}, INVALID, "input: has a key of more than 1000 characters"),
        ({"job_input": json.dumps("x" * 262_143)}, INVALID, "input: 262145 bytes, at most 262144 are allowed"),
        ({"user_id": ""}, INVALID, "user_id: is empty; leave it out or give a name"),
        ({"project_id": ""}, INVALID, "project_id: is empty"),
        ({"queue": ""}, INVALID, "queue: is empty"),
        ({"queue": "é" * 201}, INVALID, "queue: 201 characters, at most 200 are allowed"),
        ({"priority": 5}, INVALID, "priority: it is not one of the integers 0 (first) to 4 (last)"),
        ({"priority": -1}, INVALID, "priority: "),
        ({"priority": 70_000}, INVALID, "priority: "),
        ({"scheduled_for": "infinity"}, INVALID, "scheduled_for: is no time of the years 1 to 9999 in UTC"),
        ({"scheduled_for": "-infinity"}, INVALID, "scheduled_for: "),
        ({"scheduled_for": "10000-01-01 00:00+00"}, INVALID, "scheduled_for: "),
        ({"scheduled_for": "0001-12-31 BC"}, INVALID, "scheduled_for: "),
        ({"fair_by": "ann"}, INVALID, "fair_by: jobs of type note take no turns; leave it out"),
        ({"job_type": "errand"}, INVALID, "fair_by: Python computes whose jobs of type errand are; give it"),
        ({"job_type": "errand", "fair_by": "x" * 201}, INVALID, "fair_by: 201 characters"),
        (
            {"job_type": "of_user", "fair_by": "ann"},
            INVALID,
            "fair_by: jobs of type of_user go by user_id; leave it out",
        ),
        (
            {
                "job_type": "limited_errand",
                "fair_by": "é" * 200,
                "limits": json.dumps({"ü" * 200: {"slots": 1}, "ö" * 200: {"slots": 1}}),
            },
            INVALID,
            "limits: the keys together have more than 1000 bytes",
        ),
        ({"lane": "a"}, INVALID, "lane: jobs of type note stand in none; leave it out"),
        (
            {"job_type": "lane_note"},
            INVALID,
            "lane: jobs of type lane_note stand in a lane that Python computes; name it",
        ),
        ({"job_type": "lane_note", "lane": ""}, INVALID, "lane: is empty"),
        ({"job_type": "lane_note", "lane": "x" * 201}, INVALID, "lane: 201 characters"),
        ({"idempotency_key": ""}, INVALID, "idempotency_key: is empty"),
        ({"unique_key": ""}, INVALID, "unique_key: is empty"),
        (
            {"unique_key": "u", "unique_while": "odd"},
            INVALID,
            "unique_while: 'odd' is not one of unstarted, unfinished,",
        ),
        ({"unique_while": "unfinished"}, INVALID, "unique_while: there is no unique_key; give one, or leave it out"),
        ({"unique_key": "u", "unique_while": "none"}, INVALID, "unique_while: none is for a job without a unique_key"),
        (
            {"job_type": "keyed_note"},
            INVALID,
            "unique_key: Python computes one for jobs of type keyed_note; give it, or ",
        ),
        (
            {"job_type": "merged_note", "unique_key": "u"},
            INVALID,
            "unique_key: Python merges the inputs of jobs of type merged_note: create them there, or without a key",
        ),
        *(
            ({**SPANS, **changes}, INVALID, says)
            for changes, says in (
                ({"debounce_at_most": None}, "debounce_at_most: is missing; without it creates that do not cease put"),
                ({"debounce": None}, "debounce_at_most: there is no debounce; give one, or leave it out"),
                ({"debounce": "0"}, "debounce: is not a span above zero, of 36500 days at most"),
                ({"debounce": "-1 min"}, "debounce: is not a span above zero"),
                ({"debounce": "36501 days", "debounce_at_most": "36502 days"}, "debounce: is not a span above zero"),
                ({"debounce_at_most": "36501 days"}, "debounce_at_most: is not a span above zero"),
                ({"debounce_at_most": "1 s"}, "debounce_at_most: is shorter than debounce"),
                ({"unique_key": None}, "debounce: there is no unique_key that a next create could meet; give one"),
                ({"unique_key": None, "unique_while": "none"}, "debounce: there is no unique_key"),
                (
                    {"unique_while": "unfinished"},
                    "unique_while: a job that is merged or debounced holds its key while unstarted",
                ),
                ({"unique_while": "none"}, "unique_while: none is for a job without a unique_key"),
                ({"scheduled_for": "2030-01-01"}, "scheduled_for: debounce says when it is due; leave one out"),
                ({"unique_key": ""}, "unique_key: is empty"),
            )
        ),
        ({"limits": "{}"}, INVALID, "limits: jobs of type note have none; leave them out"),
        ({"job_type": "bound"}, INVALID, "limits: Python computes those of jobs of type bound; give them, or an empty"),
        *(
            ({"job_type": "bound", "limits": limits}, INVALID, says)
            for limits, says in (
                ("[]", "limits: is not an object of objects, one a key"),
                ('{"k": 5}', "limits: is not an object of objects"),
                ('{"": {"slots": 5}}', "limits: is empty"),
                ('{"k": {"slot": 5}}', "limits: 'k' has neither slots nor a rate, or a burst without a rate"),
                ('{"k": {"slots": 5, "burst": 2}}', "limits: 'k' has neither"),
                ('{"k": {"slots": 5.0}}', 'limits: invalid input syntax for type integer: "5.0"; slots and weight are'),
                ('{"k": {"slots": 1e10}}', "limits: "),
                ('{"k": {"rate_per_s": "x"}}', "limits: invalid input syntax"),
                ('{"k": {"rate_per_s": "NaN"}}', "limits: a number of 'k' is out of range"),
                ('{"k": {"rate_per_s": 1e7}}', "limits: a number of 'k' is out of range"),
                ('{"k": {"rate_per_s": 1e-7, "burst": 2}}', "limits: a number of 'k' is out of range"),
                ('{"k": {"rate_per_s": 1, "burst": 0.5}}', "limits: a number of 'k' is out of range"),
                ('{"k": {"slots": 5, "weight": 0}}', "limits: a number of 'k' is out of range"),
                (json.dumps({str(n): {"slots": 1} for n in range(11)}), "limits: at most 10 keys are allowed"),
            )
        ),
    ],
    ids=repr,
)
async def test_what_does_not_fit_is_refused_by_name(
    conn: Connection, arguments: dict[str, Any], code: str, says: str
) -> None:
    with pytest.raises(psycopg.Error) as refused:
        await create_by_sql(conn, **{"job_type": "note", **arguments})
    diagnosis = refused.value.diag
    assert (diagnosis.sqlstate, diagnosis.column_name) == (code, says.partition(":")[0])
    assert str(diagnosis.message_primary).startswith(says)
    assert await fetch(conn, "SELECT FROM jobs.jobs UNION ALL SELECT FROM jobs.lanes") == []


async def test_the_same_key_with_another_input_is_refused_and_its_job_named(conn: Connection) -> None:
    job_id, _ = await create_by_sql(conn, "note", '{"text": "x"}', idempotency_key="e")
    with pytest.raises(
        psycopg.Error, match=f"^idempotency_key: 'e' was given to job {job_id}, with another"
    ) as refused:
        await create_by_sql(conn, "note", '{"text": "y"}', idempotency_key="e")
    assert (refused.value.diag.sqlstate, refused.value.diag.column_name) == (REUSED, "idempotency_key")


@pytest.mark.parametrize(
    ("before", "then", "says"),
    [
        ({"user_id": "ada"}, {"user_id": "eve"}, "holds it with another lane, user_id, task_id or project_id"),
        ({}, {"task_id": 7}, "holds it with another lane, user_id, task_id or project_id"),
        ({"lane": "a"}, {"lane": "b"}, "holds it with another lane, user_id, task_id or project_id"),
        (
            {"unique_while": "unfinished"},
            {},
            "holds it until it ends, and has begun: its input can no longer be merged",
        ),
    ],
    ids=repr,
)
async def test_what_cannot_be_one_job_is_refused_and_changes_nothing(
    conn: Connection, before: dict[str, Any], then: dict[str, Any], says: str
) -> None:
    job_type = "lane_note" if "lane" in before else "note"
    job_id, _ = await create_by_sql(conn, job_type, **{"unique_key": "u", "unique_while": "unstarted", **before})
    if "begun" in says:
        await execute(conn, "UPDATE jobs.jobs SET state = 'claimed', ready_seq = NULL, worker_id = 1, token = 1")
    rows = "SELECT j.*, xmin FROM jobs.jobs AS j"
    untouched = await fetch(conn, rows)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=f"^unique_key: job {job_id} {says}"):
        await create_by_sql(conn, job_type, '{"text": "new"}', **{**SPANS, **then})
    assert await fetch(conn, rows) == untouched


def sized(size: int) -> str:
    """Compact JSON of that many bytes: strings that look like JSON, and many commas and colons, to which jsonb adds spaces."""
    value = {'a, b: \\" ': [1] * 50_000, '"': {str(n): n for n in range(5_000)}, 'é \\"\n': "", "[": ", : "}
    short = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    return json.dumps({**value, 'é \\"\n': "," * (size - short)}, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize(
    "text",
    [
        sized(gate.MAX_INPUT_BYTES),
        sized(gate.MAX_INPUT_BYTES + 1),
        nested(64),
        nested(65),
        nested(64, "1"),
        nested(65, "1"),
        '{"a":' * 64 + "1" + "}" * 64,
        '{"a":' * 65 + "1" + "}" * 65,
        json.dumps({"k" * 1000: {"é" * 1000: 1}}),
        json.dumps([{"k": [{"é" * 1001: 1}]}]),
        "[1.7976931348623157e308, -1.7976931348623157e308, 1e-400, 5e-324]",
        "[1e309]",
        '{"a": {"b": -1e309}}',
        "null",
        '"text"',
    ],
    ids=lambda text: f"{text[:20]}… {len(text)}",
)
async def test_sql_and_the_gate_draw_the_line_at_the_same_place(conn: Connection, text: str) -> None:
    try:
        value = gate.from_json(text, field="input", max_bytes=10 * gate.MAX_INPUT_BYTES)
        gate.to_json(value, field="input", max_bytes=gate.MAX_INPUT_BYTES)
    except InvalidInput:
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"^input: "):
            await create_by_sql(conn, "note", text)
    else:
        await create_by_sql(conn, "note", text)


async def test_every_time_that_python_holds_may_be_asked_for(conn: Connection) -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    for time in (first, last):
        await create_by_sql(conn, "note", scheduled_for=time)
    rows = await fetch(conn, "SELECT scheduled_for FROM jobs.jobs ORDER BY id")
    assert [row["scheduled_for"] for row in rows] == [None, last]


@pytest.mark.direct("sets what lasts a session")
async def test_a_callers_settings_change_nothing_of_what_is_refused(conn: Connection) -> None:
    await execute(conn, "CREATE FUNCTION public.octet_length(text) RETURNS integer LANGUAGE sql AS 'SELECT 0'")
    for setting in (
        "standard_conforming_strings = off",
        "DateStyle = 'SQL, DMY'",
        "TimeZone = 'Asia/Tokyo'",
        "search_path = public, pg_catalog",
    ):
        await execute(conn, f"SET {setting}")
    await create_by_sql(conn, "note", sized(gate.MAX_INPUT_BYTES), scheduled_for=datetime(9999, 12, 31, 23, tzinfo=UTC))
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        await create_by_sql(conn, "note", sized(gate.MAX_INPUT_BYTES + 1))


async def test_a_type_that_was_not_looked_up_would_be_created(conn: Connection) -> None:
    await mutate(conn, "jobs.fitted", ("IF NOT FOUND THEN", "IF false THEN"))
    with pytest.raises(psycopg.errors.NotNullViolation):  # only the queue that nobody declared stops it
        await create_by_sql(conn, "nobody's")
    await create_by_sql(conn, "nobody's", queue="default", priority=2)
