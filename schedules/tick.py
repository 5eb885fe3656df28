"""Tick: what a job may be told of the tick that it was created for."""

from datetime import datetime
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict

from jobs_core import JobType


class Tick(BaseModel):
    """One tick. An Input with a field `tick: Tick | None = None` is given it.

    slot: names the tick among its schedule's, also when it is run again. due_at: when it was due, UTC, without the jitter.
    """

    model_config = ConfigDict(frozen=True)

    schedule_id: int
    name: str
    slot: str
    due_at: datetime


def takes_tick(job_type: JobType[Any]) -> bool:
    """Whether the type's Input has a field for its tick."""
    field = job_type.Input.model_fields.get("tick")
    return field is not None and Tick in (field.annotation, *get_args(field.annotation))
