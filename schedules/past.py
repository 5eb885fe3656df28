"""What has become of the jobs that schedules created before: which of them live, and how the others ended."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from jobs_core import Connection, HandlerTable, execute, fetch, statement
from jobs_core.ends import ends, living
from schedules.schedule import Schedule

MOST_FAILURES = 10
"""So many in a row, and a schedule is paused."""
_MOST_OPEN = 100
"""Ticks of one schedule whose jobs are looked for at once: a line of queued jobs may be long."""


@dataclass(slots=True)
class Past:
    """Of one schedule. living: jobs that have not ended. failures: of those that have, since the last that completed."""

    failures: int
    living: list[int] = field(default_factory=list)


async def look_back(conn: Connection, table: HandlerTable, schedules: Sequence[Schedule]) -> dict[int, Past]:
    """The past of each of these schedules, by id, and what has newly ended noted; the caller holds their locks."""
    pasts = {schedule.id: Past(schedule.failures) for schedule in schedules}
    values = {"schedule_ids": list(pasts), "batch": _MOST_OPEN}
    ticks = await fetch(conn, statement("schedules", "tick/open"), values)
    if not ticks:
        return pasts
    alive = await living(conn, {tick["job_id"] for tick in ticks})
    over = [tick for tick in ticks if tick["job_id"] not in alive]
    ended = await ends(
        conn,
        {tick["job_id"] for tick in over},
        since=min((tick["made_at"] for tick in over), default=ticks[0]["made_at"]),
    )
    unkept = {schedule.id for schedule in schedules if table.retentions.get(schedule.job_type) == "none"}
    outcomes = list[str]()
    for tick in ticks:
        past, job_id = pasts[tick["schedule_id"]], tick["job_id"]
        if job_id in alive:
            past.living.append(job_id)
            continue
        outcomes.append(ended.get(job_id, "complete" if tick["schedule_id"] in unkept else "gone"))
        past.failures = counted(past.failures, outcomes[-1])
    await _note(conn, over, outcomes)
    return pasts


def counted(failures: int, outcome: str) -> int:
    """Failures in a row, one outcome later; a job that was cancelled, or is kept no more, says nothing of its schedule."""
    match outcome:
        case "failed" | "refused":
            return failures + 1
        case "complete":
            return 0
    return failures


async def _note(conn: Connection, ticks: Collection[Mapping[str, object]], outcomes: list[str]) -> None:
    values = {
        "schedule_ids": [tick["schedule_id"] for tick in ticks],
        "slots": [tick["slot"] for tick in ticks],
        "outcomes": outcomes,
    }
    await execute(conn, statement("schedules", "tick/end"), values)
