"""A schedule as people write it, by whatever door: its rule, and what an agent is asked, or a job type with its input."""

from datetime import datetime
from typing import Annotated, Any, Self, cast
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from assistant.agent_values import AgentName, Prompt
from assistant.agents import DEFAULT_AGENT
from assistant.policy import Unattended
from assistant.scheduled_turns import SCHEDULED_TURN
from jobs_core import gate
from schedules import Rule, Schedule
from schedules.rules import Missed, Overlap

TURN_FIELDS = ("agent", "prompt", "approvals")


class Draft(Rule):
    """A schedule as it is written: its rule, and either what an agent is asked, or a job type with its input.

    agent: DEFAULT_AGENT where only a prompt is given. user_id: for whom; None: the owner.
    """

    name: Annotated[str, Field(max_length=gate.MAX_NAME_CHARS)]
    agent: AgentName | None = None
    prompt: Prompt | None = None
    approvals: Unattended | None = None
    job_type: Annotated[str, Field(max_length=gate.MAX_NAME_CHARS)] | None = None
    input: dict[str, Any] | None = None
    user_id: Annotated[str, Field(max_length=gate.MAX_NAME_CHARS)] | None = None

    @model_validator(mode="after")
    def _one_work(self) -> Self:
        if (self.prompt is None) == (self.job_type is None):
            raise ValueError("give either prompt, for an agent, or job_type")
        if self.job_type is not None and any(getattr(self, field) is not None for field in TURN_FIELDS):
            raise ValueError("agent, prompt and approvals: go without job_type")
        if self.prompt is not None and self.input is not None:
            raise ValueError("input: goes with job_type; an agent is asked the prompt")
        return self

    @property
    def rule(self) -> Rule:
        """When it is due."""
        return Rule.model_validate(self.model_dump(include=set(Rule.model_fields)))

    @property
    def work(self) -> tuple[str, dict[str, Any]]:
        """The type of its jobs, and their input."""
        if self.job_type is not None:
            return self.job_type, self.input or {}
        given = {"agent": self.agent or DEFAULT_AGENT, "prompt": self.prompt, "approvals": self.approvals or "reject"}
        return SCHEDULED_TURN.name, given


class DraftChange(BaseModel):
    """What to change of a schedule, the fields of a Draft but its name; those that are not given stay as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zone: str | None = None
    cron: str | None = None
    every_s: int | None = None
    anchor: AwareDatetime | None = None
    at: datetime | None = None
    jitter_s: int | None = None
    missed: Missed | None = None
    missed_max: int | None = None
    missed_window_s: int | None = None
    overlap: Overlap | None = None
    agent: AgentName | None = None
    prompt: Prompt | None = None
    approvals: Unattended | None = None
    job_type: str | None = None
    input: dict[str, Any] | None = None
    user_id: str | None = None


def read(values: Any) -> Draft:
    """A draft of plain values. Raises InvalidInput naming the field."""
    return cast("Draft", gate.fit(Draft, values, field="schedule"))


def draft_of(schedule: Schedule) -> dict[str, Any]:
    """A schedule as it would be written."""
    is_turn = schedule.job_type == SCHEDULED_TURN.name
    work = (
        {field: schedule.input[field] for field in TURN_FIELDS}
        if is_turn
        else {"job_type": schedule.job_type, "input": schedule.input}
    )
    return {"name": schedule.name, "user_id": schedule.user_id} | work | schedule.rule.model_dump()


def some_name() -> str:
    """A name for a draft that is only tried out."""
    return f"try-{uuid4().hex}"
