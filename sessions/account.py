"""Whose a run of a turn is, what it may cost, and what it has used."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Self
from uuid import UUID

from jobs_core import AnyJob


@dataclass(frozen=True, slots=True)
class RunAccount:
    """One run of a turn as the ledger knows it: (turn_id, token), and whom its rows are counted for.

    token: the claim's, of the job that runs the turn. cap_usd: how much this run may spend; None: no end. models: those it may
    call; None: any. job_id and what follows are kept with the rows, because the job moves to history.
    """

    turn_id: UUID
    token: int
    cap_usd: Decimal | None = None
    models: Collection[str] | None = None
    job_id: int | None = None
    user_id: str | None = None
    task_id: int | None = None
    project_id: str | None = None
    agent: str | None = None

    @classmethod
    def of(
        cls,
        job: AnyJob,
        turn_id: UUID,
        *,
        cap_usd: Decimal | None = None,
        models: Collection[str] | None = None,
        agent: str | None = None,
    ) -> Self:
        """The account of a turn that this run of a job works on."""
        return cls(turn_id, job.token, cap_usd, models, job.id, job.user_id, job.task_id, job.project_id, agent)


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls to the API used. Cached tokens are not in `input_tokens`; duration_s: the calls' times added up.

    estimated_calls: those of which a part was estimated, because they were cut before the API had said what they used.
    """

    calls: int = 0
    estimated_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    tool_calls: int = 0
    duration_s: float = 0.0
    cost_usd: Decimal = Decimal(0)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))
