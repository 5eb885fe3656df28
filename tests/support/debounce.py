"""Jobs whose creates are merged, and what stands of them."""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel, Field

from jobs_core import AnyJob, Connection, Created, Jobs, JobType, fetch_one
from jobs_core.claim import claim
from jobs_core.leases import register
from jobs_core.testing import move_times
from jobs_core.upkeep import promote_due
from tests.support.job_types import NOTE

MINUTE = timedelta(minutes=1)
QUIET, AT_MOST = 10 * MINUTE, 30 * MINUTE
TYPES = ["note", "lane_note", "basket"]


class Basket(BaseModel):
    """An input that grows."""

    items: list[int] = Field(max_length=1000)
    text: str = ""


def put_together(old: Basket, new: Basket) -> Basket:
    """All items, the older ones first. It changes what it is given, as a merge may."""
    new.items[:0] = old.items
    return new


BASKET = JobType("basket", Basket, unique_while="unstarted", merge=put_together)


async def debounced(jobs: Jobs, text: str, **changes: Any) -> Created:
    """A note of key `k`."""
    spans = {"debounce": QUIET, "debounce_at_most": AT_MOST}
    return await jobs.create(NOTE, {"text": text}, **{"unique_key": "k", **spans, **changes})


async def minutes_left(conn: Connection, job_id: int) -> int:
    """Until the job is due, by Postgres' clock."""
    sql = "SELECT round(extract(epoch FROM scheduled_for - clock_timestamp()) / 60) AS left FROM jobs.jobs WHERE id = %(id)s"
    row = await fetch_one(conn, sql, {"id": job_id})
    assert row is not None
    return int(row["left"])


async def pass_minutes(conn: Connection, minutes: float) -> None:
    """Let time pass, and what falls due become ready."""
    async with conn.transaction():
        await move_times(conn, minutes * MINUTE)
    await promote_due(conn)


async def claimed(conn: Connection) -> list[AnyJob]:
    """What is ready, claimed by a new worker: time that passes ends leases."""
    worker_id = await register(conn, queues=["default"], job_types=TYPES, slots=100, lease_s=600)
    return await claim(conn, worker_id=worker_id, queues=["default"], job_types=TYPES, slots=100)


async def state_of(conn: Connection, job_id: int) -> dict[str, Any]:
    """The row, whole."""
    row = await fetch_one(conn, "SELECT to_jsonb(j) AS of FROM jobs.jobs AS j WHERE id = %(id)s", {"id": job_id})
    assert row is not None
    state: dict[str, Any] = row["of"]
    return state
