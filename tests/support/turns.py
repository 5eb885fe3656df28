"""Jobs that take turns: a type whose input says whose a job is, and who was claimed."""

import json

from pydantic import BaseModel, ConfigDict

from jobs_core import AnyJob, Connection, HandlerTable, Jobs, JobType, Limit, NewJob
from jobs_core.claim_limited import claim_limited
from tests.support.job_types import NOTE


class Errand(BaseModel):
    """Something done for somebody."""

    model_config = ConfigDict(extra="forbid")

    user: str | None = None
    lane: str = ""
    limits: dict[str, int] = {}


def _limits(errand: Errand) -> list[Limit]:
    return [Limit(key, slots=slots) for key, slots in errand.limits.items()]


ERRAND = JobType("errand", Errand, fair_by=lambda errand: errand.user)
LIMITED_ERRAND = JobType("limited_errand", Errand, fair_by=lambda errand: errand.user, limits=_limits)
LANE_ERRAND = JobType("lane_errand", Errand, fair_by=lambda errand: errand.user, lane=lambda errand: errand.lane)
OF_USER = JobType("of_user", Errand, fair_by="user_id")
OF_PROJECT = JobType("of_project", Errand, fair_by="project_id")
TYPES = (ERRAND, LIMITED_ERRAND, LANE_ERRAND, OF_USER, OF_PROJECT)


def table() -> HandlerTable:
    """A table that knows these types, without code for them."""
    known = HandlerTable()
    known.declare_all([NOTE, *TYPES])
    return known


async def create(
    jobs: Jobs,
    *users: str | None,
    job_type: JobType[Errand] = ERRAND,
    limits: dict[str, int] | None = None,
    **how: object,
) -> list[int]:
    """A job for each, in this order; returns their ids."""
    lane = str(how.pop("lane", ""))
    new = [NewJob(job_type, Errand(user=user, lane=lane, limits=limits or {}), **how) for user in users]  # type: ignore[arg-type]  # as NewJob's
    return list((await jobs.create_many(new)).ids)


async def claim_turns(conn: Connection, worker_id: int, slots: int = 1, *, after: str = "") -> list[AnyJob]:
    """What one look of a worker claims that knows all these types."""
    names = [job_type.name for job_type in (NOTE, *TYPES)]
    found = await claim_limited(
        conn, worker_id=worker_id, queues=["default"], job_types=names, slots=slots, after=after
    )
    return found.jobs


async def in_turn(conn: Connection, worker_id: int, claims: int, slots: int = 1) -> str:
    """The users of so many claims, one after another, a letter each; those of one claim in the order of their readiness."""
    users = ""
    for _ in range(claims):
        users += "".join(json.loads(job.input)["user"] for job in await claim_turns(conn, worker_id, slots))
    return users
