"""A job whose end is told to callbacks: what a producer creates instead of the job itself."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from jobs_core import JobType


class ReportEnd(BaseModel):
    """The job to run: its type, its input, and where it goes, if not as its type says."""

    model_config = ConfigDict(extra="forbid")

    job_type: str
    input: dict[str, Any] = {}
    queue: str | None = None
    priority: int | None = None


class ReportedEnd(BaseModel):
    """How the job ended that was run."""

    job_id: int
    state: str
    error: str | None


REPORT_END = JobType("report_end", ReportEnd, ReportedEnd)
