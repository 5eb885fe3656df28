"""What a task is: its fields, what may stand in them, and how it is changed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from jobs_core import gate
from jobs_core.moments import Moment

Status = Literal["open", "in_progress", "waiting", "done", "cancelled"]
STATUSES: tuple[Status, ...] = ("open", "in_progress", "waiting", "done", "cancelled")
DONE = frozenset[Status]({"done", "cancelled"})
"""Of these nobody needs to do anything more; the SQL names them as well."""
Repeat = Literal["hourly", "daily", "weekdays", "weekly", "monthly"]

Title = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^.+$", max_length=200)]  # one line
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=gate.MAX_NAME_CHARS)]
LongText = Annotated[str, StringConstraints(max_length=20_000)]


class _Details(BaseModel):
    model_config = ConfigDict(extra="forbid")

    context: LongText | None = Field(None, description="what whoever does it must know")
    result: LongText | None = Field(None, description="what came of it")
    next_step: LongText | None = Field(None, description="what to do next; it is checked on from time to time")
    assignee: Name | None = Field(None, description="the id of the user who is to do it")
    deadline: Moment | None = None
    schedule_at: Moment | None = Field(None, description="of kind scheduled: when it is done")
    schedule_repeat: Repeat | None = Field(None, description="how often again after that")
    project_id: Name | None = None


class TaskValues(_Details):
    """All of a task that may change."""

    title: Title
    status: Status = "open"
    kind: Kind = Field("task", description="task, or scheduled: done at schedule_at in a session of its own")

    @model_validator(mode="after")
    def _has_its_time(self) -> Self:
        if self.schedule_at is None and (self.kind == "scheduled" or self.schedule_repeat):
            raise PydanticCustomError("time", "schedule_at is missing, which kind scheduled and schedule_repeat need")
        return self


class NewTask(TaskValues):
    """A task to make. external_task_id: the ticket that it stands for, its tracker's name first, as in `jira:ABC-7`."""

    external_task_id: Name | None = None


class TaskChange(_Details):
    """What of a task to change: the fields that are given, also those given as None."""

    title: Title | None = None
    status: Status | None = None
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task. `session_id`: the Claude session of its own. `version`: one more with each change."""

    id: int
    title: str
    status: Status
    kind: str
    context: str | None
    result: str | None
    assignee: str | None
    created_by: str | None
    deadline: datetime | None
    schedule_at: datetime | None
    schedule_repeat: Repeat | None
    next_step: str | None
    session_id: UUID | None
    external_task_id: str | None
    project_id: str | None
    version: int
    created_at: datetime
    updated_at: datetime
