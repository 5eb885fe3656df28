"""A job to create: what the caller gave, checked and fitted to its type, as the columns of its row."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from jobs_core import gate
from jobs_core.due import due_values
from jobs_core.errors import InvalidInput
from jobs_core.job_types import LONGEST_DELAY, PRIORITIES, UNIQUE_WHILE, JobType, UniqueWhile
from jobs_core.limit import MOST_GROUP_BYTES, MOST_KEYS, checked

Row = dict[str, Any]
"""One job's columns, by the names that `job/create_one` gives them; `job/create` and `job/create_ready` take arrays."""

_BIGINT = 2**63
_NOT_MERGED: Row = {"merged_as": None, "debounce_s": None, "at_most_s": None}


@dataclass(slots=True)
class NewJob:
    """One job to create.

    queue, priority: its type's unless given. scheduled_for: a time, or a span from now.
    idempotency_key: names the outside event that it is for; one job an event, for its type's `idempotency_for`.
    unique_key, unique_while: one job a key at a time; they win over what its type says.
    debounce, debounce_at_most: it starts when no create of its unique key has come for the one span, but no later than the
        other after the first of them; with their inputs merged as its type says, else with the last. The key is unstarted.
    """

    job_type: JobType[Any] | str
    input: BaseModel | dict[str, Any]
    user_id: str | None = None
    task_id: int | None = None
    project_id: str | None = None
    queue: str | None = None
    priority: int | None = None
    scheduled_for: datetime | timedelta | None = None
    idempotency_key: str | None = None
    unique_key: str | None = None
    unique_while: UniqueWhile | None = None
    debounce: timedelta | None = None
    debounce_at_most: timedelta | None = None


def row_of(job: NewJob, job_type: JobType[Any]) -> Row:
    """The job as a row of its type. Raises InvalidInput naming the field."""
    fitted = gate.fit(job_type.Input, job.input, field="input")
    unique_key, unique_while = _unique(job, job_type, fitted)
    return {
        "job_type": job_type.name,
        "queue": _name(job_type.queue if job.queue is None else job.queue, "queue"),
        "priority": _priority(job_type.priority if job.priority is None else job.priority),
        "user_id": _name(job.user_id, "user_id"),
        "task_id": _task_id(job.task_id),
        "project_id": _name(job.project_id, "project_id"),
        **_due(job.scheduled_for),
        "idempotency_key": _name(job.idempotency_key, "idempotency_key"),
        "idempotency_s": job_type.idempotency_for.total_seconds(),
        "unique_key": unique_key,
        "unique_while": unique_while,
        **columns_of(job_type, fitted, user_id=job.user_id, project_id=job.project_id),
        "sticky_key": _name(job_type.sticky_key(fitted), "sticky_key") if job_type.sticky_key else None,
        "sticky_s": job_type.sticky_for.total_seconds(),
        **_merging(job, job_type, unique_key),
    }


def columns_of(job_type: JobType[Any], fitted: BaseModel, *, user_id: str | None, project_id: str | None) -> Row:
    """What follows from the input, and whose the job is: input, lane, limits, turn. Raises InvalidInput naming the field."""
    return {
        "input": gate.to_json(fitted, field="input", max_bytes=gate.MAX_INPUT_BYTES),
        "lane": _name(job_type.lane(fitted), "lane") if job_type.lane else None,
        **_limits(job_type, fitted, _fair_key(job_type, fitted, user_id, project_id)),
    }


def has_keys(row: Row) -> bool:
    """Whether a create of this row may meet a job."""
    return row["unique_key"] is not None or row["idempotency_key"] is not None


def is_plain(row: Row) -> bool:
    """Whether it is ready at once, whatever else there is, and for any claim: no lane, no key, no time, no limit, no turns."""
    due_now = row["time"] is None and row["delay_s"] is None
    return row["lane"] is None and due_now and row["limit_group"] is None and not has_keys(row)


def _name(text: str | None, field: str) -> str | None:
    return None if text is None else gate.check_name(text, field=field)


def _unique(job: NewJob, job_type: JobType[Any], fitted: BaseModel) -> tuple[str | None, UniqueWhile | None]:
    key, held_while = job.unique_key, job.unique_while
    if held_while is not None and held_while not in UNIQUE_WHILE:
        raise InvalidInput(
            f"unique_while: {held_while!r} is not one of {', '.join(UNIQUE_WHILE)}", field="unique_while"
        )
    if key is None and job_type.unique_key is None:
        if held_while is not None:
            raise InvalidInput("unique_while: there is no unique_key; give one, or leave it out", field="unique_while")
        return None, None
    if key is None and job_type.unique_key is not None:
        key = job_type.unique_key(fitted)
    if key is None:
        return None, None
    if held_while == "unfinished" and (job_type.merge is not None or job.debounce is not None):
        raise InvalidInput(
            "unique_while: a job that is merged or debounced holds its key while unstarted, as a run reads its input once; "
            "leave it out",
            field="unique_while",
        )
    default = job_type.unique_while if job.debounce is None else "unstarted"
    return _name(key, "unique_key"), held_while or default


def _merging(job: NewJob, job_type: JobType[Any], unique_key: str | None) -> Row:
    """How it is merged into a job that it meets: as this type says, and with what spans; merged_as is None: not at all."""
    quiet, at_most = job.debounce, job.debounce_at_most
    if quiet is at_most is None:
        mergeable = job_type.merge is not None and unique_key is not None
        return {**_NOT_MERGED, "merged_as": job_type} if mergeable else _NOT_MERGED
    if quiet is None:
        raise InvalidInput(
            "debounce_at_most: there is no debounce; give one, or leave it out", field="debounce_at_most"
        )
    if at_most is None:
        raise InvalidInput(
            "debounce_at_most: is missing; without it creates that do not cease put the job off for ever",
            field="debounce_at_most",
        )
    for span, field in ((quiet, "debounce"), (at_most, "debounce_at_most")):
        if not isinstance(span, timedelta) or not timedelta(0) < span <= LONGEST_DELAY:
            raise InvalidInput(
                f"{field}: is not a timedelta above zero, of {LONGEST_DELAY.days} days at most", field=field
            )
    if at_most < quiet:
        raise InvalidInput("debounce_at_most: is shorter than debounce", field="debounce_at_most")
    if unique_key is None:
        raise InvalidInput("debounce: there is no unique_key that a next create could meet; give one", field="debounce")
    if job.scheduled_for is not None:
        raise InvalidInput("scheduled_for: debounce says when it is due; leave one out", field="scheduled_for")
    quiet_s = quiet.total_seconds()
    return {"merged_as": job_type, "debounce_s": quiet_s, "at_most_s": at_most.total_seconds(), "delay_s": quiet_s}


def _fair_key(job_type: JobType[Any], fitted: BaseModel, user_id: str | None, project_id: str | None) -> str | None:
    """Whose the job is, empty: nobody's; None: its type takes no turns."""
    match job_type.fair_by:
        case None:
            return None
        case "user_id":
            key = user_id
        case "project_id":
            key = project_id
        case fair_by:
            key = fair_by(fitted)
    return gate.check_text(key or "", field="fair_by", max_chars=gate.MAX_NAME_CHARS)


def _limits(job_type: JobType[Any], fitted: BaseModel, fair_key: str | None) -> Row:
    """The limits by key, and the group that the job waits in: whose it is (turns.py), then the keys of its limits."""
    limits = [checked(limit) for limit in job_type.limits(fitted)] if job_type.limits else []
    if not limits and fair_key is None:
        return {"limits": None, "limit_group": None}
    by_key = {limit.key: {name: value for name, value in asdict(limit).items() if name != "key"} for limit in limits}
    if len(by_key) < len(limits) or len(limits) > MOST_KEYS:
        wrong = (
            f"{len(limits)} keys, at most {MOST_KEYS} are allowed" if len(limits) > MOST_KEYS else "a key stands twice"
        )
        raise InvalidInput(f"limits: {wrong}; see {job_type.name}'s limits", field="limits")
    turn = [] if fair_key is None else [[fair_key]]
    group = json.dumps([*turn, *sorted(by_key)], ensure_ascii=False)
    if len(group.encode()) > MOST_GROUP_BYTES:
        raise InvalidInput(f"limits: the keys together have more than {MOST_GROUP_BYTES} bytes", field="limits")
    return {"limits": json.dumps(by_key) if by_key else None, "limit_group": group}


def _priority(priority: int) -> int:
    if type(priority) is not int or priority not in PRIORITIES:
        raise InvalidInput(
            f"priority: it is not one of the integers 0 (first) to {PRIORITIES[-1]} (last)", field="priority"
        )
    return priority


def _task_id(task_id: int | None) -> int | None:
    if task_id is not None and (type(task_id) is not int or not -_BIGINT <= task_id < _BIGINT):
        raise InvalidInput("task_id: it is not an integer of 64 bits", field="task_id")
    return task_id


def _due(due: datetime | timedelta | None) -> Row:
    return {"time": None, "delay_s": None} if due is None else due_values(due, field="scheduled_for")
