"""Merges: what creates make of a job that no worker has claimed, when they meet it by its unique key.

    met and locked ─▶ its input ─▶ merge(old, new), one create after the other ─▶ written, its start put off
    new, of this call ─────────────▶ likewise ─▶ inserted ─▶ its longest wait is set

A create takes part where its type has a merge, or where it is debounced; then without a merge the last input counts.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from jobs_core import db, gate
from jobs_core.errors import InvalidInput
from jobs_core.job_types import JobType
from jobs_core.new_job import Row, columns_of
from jobs_core.statements import statement

_WHOSE = ("lane", "user_id", "task_id", "project_id")
"""What must be the same where inputs are merged: for whom the run acts, and beside whom it may run. And it is the create's own
lane that is locked, so that upkeep has no job join it while its start is put off."""


async def unclaimed(conn: db.Connection, ids: Sequence[int]) -> dict[int, Row]:
    """What creates are merged into, by id, of jobs that are met and locked.

    Raises InvalidInput where one has been claimed and keeps its key until it ends: nothing reads its input any more.
    """
    rows = await db.fetch(conn, statement("jobs_core", "job/unclaimed"), {"ids": ids}) if ids else []
    if begun := sorted({*ids} - {row["id"] for row in rows}):
        raise InvalidInput(
            f"unique_key: job {begun[0]} holds it until it ends, and has begun: its input can no longer be merged; create "
            "again when it has ended, or have all its creators hold the key while unstarted",
            field="unique_key",
        )
    return {row["id"]: {**row, "debounce_s": None, "at_most_s": None} for row in rows}


def merged(job: Row, row: Row) -> Row:
    """The job with what a create brings. Raises InvalidInput where they are for different users or lanes, or merge refuses.

    job: as `unclaimed` has it, or the row of an earlier create of the same call.
    """
    job_type = row["merged_as"]
    _check_whose(job, row)  # before a merge sees both
    brought = row if job_type.merge is None else {**row, **_columns_of_merged(job_type, job, row)}
    _check_whose(job, brought)
    spans_s = [span_s for span_s in (job["debounce_s"], row["debounce_s"]) if span_s is not None]
    changed = {column: brought[column] for column in ("input", "limits", "limit_group")}
    return {**job, **changed, "debounce_s": max(spans_s, default=None)}


def _check_whose(job: Row, row: Row) -> None:
    for column in _WHOSE:
        if row[column] != job[column]:
            raise InvalidInput(
                f"unique_key: {_named(job)} holds it with another {column}: they cannot be one job; let their keys differ",
                field="unique_key",
            )


def _columns_of_merged(job_type: JobType[Any], job: Row, row: Row) -> Row:
    """What follows from the merged input. Both are read anew each time: a merge may change what it is given."""
    try:
        old = gate.fit_json(job_type.Input, job["input"], field="input")
    except InvalidInput as error:
        raise InvalidInput(
            f"unique_key: {_named(job)} holds it, and its input does not fit {job_type.name}: {error}",
            field="unique_key",
        ) from None
    new = gate.fit_json(job_type.Input, row["input"], field="input")
    try:
        fitted = gate.fit(job_type.Input, _merge(job_type, old, new), field="input")
        return columns_of(job_type, fitted, user_id=row["user_id"], project_id=row["project_id"])
    except InvalidInput as error:
        raise InvalidInput(f"{error} (merged with the input of {_named(job)})", field=error.field) from error


def _merge(job_type: JobType[Any], old: BaseModel, new: BaseModel) -> BaseModel:
    assert job_type.merge is not None
    try:
        merged_input: BaseModel = job_type.merge(old, new)
    except InvalidInput:
        raise
    except Exception as error:  # whose text may hold what another creator has said
        raise InvalidInput(
            f"input: the merge of {job_type.name} raised {type(error).__name__}", field="input"
        ) from error
    return merged_input


def _named(job: Row) -> str:
    return f"job {job['id']}" if "id" in job else "another job of this call"


async def write(conn: db.Connection, changed: Mapping[int, Row]) -> dict[int, datetime]:
    """Write what has become of these jobs, met ones and new ones, by id; returns when each is due that is debounced."""
    if not changed:
        return {}
    rows = list(changed.values())
    values = {
        "ids": list(changed),
        "inputs": [row["input"] for row in rows],
        "limits": [row["limits"] for row in rows],
        "limit_groups": [row["limit_group"] for row in rows],
        "debounce_s": [row["debounce_s"] for row in rows],
        "at_most_s": [row["at_most_s"] for row in rows],
    }
    written = await db.fetch(conn, statement("jobs_core", "job/merge"), values)
    due = {row["id"]: row["scheduled_for"] for row in written if changed[row["id"]]["debounce_s"] is not None}
    return {job_id: at for job_id, at in due.items() if at is not None}  # a plain poke that stands ready has none
