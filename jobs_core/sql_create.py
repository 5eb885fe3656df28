"""Create through another driver than ours: a statement, and one text for it, to run in the caller's own transaction.

    sql_create(NewJob(…)) ─▶ sql, job, ready ─▶ asyncpg, SQLAlchemy … ─▶ id, met ─ commit ─▶ notifier.wake([ready])

The input is fitted to its model, lane, key and limits are computed here; the rest is the SQL function's. A recipe for each
driver: docs/create-from-sql.md.
"""

import json
from typing import NamedTuple

from jobs_core.errors import InvalidInput
from jobs_core.new_job import NewJob, row_of
from jobs_core.roles import function_of
from jobs_core.statements import statement
from jobs_core.turns import fair_key_of
from jobs_core.wake import Ready

_ARGUMENTS = (
    "job_type",
    "input",
    "user_id",
    "task_id",
    "project_id",
    "queue",
    "priority",
    "delay_s",
    "lane",
    "idempotency_key",
    "unique_key",
    "unique_while",
    "limits",
    "debounce_s",
    "at_most_s",
)


class SqlCreate(NamedTuple):
    """sql: returns one row, id and met. job: its one parameter. ready: what a Notifier may wake after the commit."""

    sql: str
    job: str
    ready: Ready


def sql_create(job: NewJob, *, placeholder: str = "$1", role: str | None = None) -> SqlCreate:
    """One job, as what any driver can run.

    placeholder: how the driver writes the parameter: `$1` (asyncpg), `:job` (SQLAlchemy's text), `%(job)s` (psycopg).
    role: that of a caller who may use nothing but its own create (`jobs role create-sql`).
    Raises InvalidInput naming the field. The database refuses what it cannot know here: SQLSTATE 42704 (the type was never
    declared to it), 42710 (the idempotency key stands for another input), 40001 (roll back and begin again).
    """
    if isinstance(job.job_type, str):
        raise InvalidInput("job_type: give the JobType itself; SQL by hand takes a name", field="job_type")
    row = row_of(job, job.job_type)
    if job.job_type.merge is not None and row["unique_key"] is not None:
        raise InvalidInput(
            f"unique_key: inputs of jobs of type {row['job_type']} are merged in Python, by Jobs.create: create them there",
            field="unique_key",
        )
    given = {name: row[name] for name in _ARGUMENTS}
    if row["debounce_s"] is not None:
        given["delay_s"] = None  # the function's to say
    if job.job_type.unique_key is not None and row["unique_key"] is None:
        given["unique_while"] = "none"  # computed, and there is none; null would say that nobody has computed it
    if job.job_type.limits is not None and row["limits"] is None:
        given["limits"] = "{}"  # likewise
    if callable(job.job_type.fair_by):
        given["fair_by"] = fair_key_of(row["limit_group"])
    given["time"] = row["time"] and row["time"].isoformat()
    sql = statement("jobs_core", "job/create_by_function")
    sql = sql.replace("{function}", function_of(role)).replace("%(job)s", placeholder)
    return SqlCreate(sql, json.dumps(given, ensure_ascii=False), Ready(row["queue"], row["job_type"]))
