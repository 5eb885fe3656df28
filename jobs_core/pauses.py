"""Pauses: a queue, a type, or a type in one queue, whose jobs no claim takes for now.

    operator: pause ──────────────────────────┐                     ┌─ resume ──────────────────┐
    outcome:  Snooze(pause_queue_until=…) ────┴─▶ claims pass by ───┴─ its time ends (upkeep) ──┴─▶ idle workers are woken

What runs goes on. An operator's pause and an outcome's stand side by side: jobs are claimed again when none of those that
concern them is left. An operator's moves give_up_at on, an outcome's does not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs_core import db, gate
from jobs_core.due import due_values
from jobs_core.errors import InvalidInput
from jobs_core.job import AnyJob
from jobs_core.outcomes import Also, Snooze
from jobs_core.statements import statement
from jobs_core.wake import Ready


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause; times are UTC.

    queue, job_type: what is paused; None: whichever it is. because: `operator`, or what the outcome that set it said, such as
    `rate_limited`. set_by: a person, or the job whose run it was. until: None, when only a resume ends it.
    """

    queue: str | None
    job_type: str | None
    because: str
    reason: str | None
    set_by: str
    started_at: datetime
    until: datetime | None

    def concerns(self, *, queue: str | None, job_type: str | None) -> bool:
        """Whether it keeps back jobs of that queue and that type, None meaning any."""
        return (None in {self.queue, queue} or self.queue == queue) and (
            None in {self.job_type, job_type} or self.job_type == job_type
        )


async def pause(
    conn: db.Connection,
    *,
    queue: str | None = None,
    job_type: str | None = None,
    until: datetime | timedelta | None = None,
    reason: str | None = None,
    set_by: str,
) -> Pause:
    """Pause a queue, a type, or the type in that queue, in place of what an operator said of just these before.

    No claim that begins after the commit takes such a job. until: a time, or a span from now; None: until `resume`.
    Raises InvalidInput, naming the field: neither queue nor type is given, a text does not fit, or `until` has passed.
    """
    given = {
        **_target(queue, job_type),
        "reason": reason if reason is None else gate.check_text(reason, field="reason", max_chars=gate.MAX_ERROR_CHARS),
        "set_by": gate.check_name(set_by, field="set_by"),
        **({"time": None, "delay_s": None} if until is None else due_values(until, field="until")),
    }
    async with conn.transaction():
        await _lift(conn, queue, job_type, operators=True)
        row = await db.fetch_one(conn, statement("jobs_core", "pause/set"), given)
        if row is None:
            raise InvalidInput(f"until: {until} has passed, by the database's clock; nothing was paused", field="until")
    return Pause(**row)


async def resume(conn: db.Connection, *, queue: str | None = None, job_type: str | None = None) -> list[Pause]:
    """Lift the pauses of just this queue, type, or type in that queue, whoever set them; returns them.

    After the commit, call `Notifier.wake_all`: idle workers find the jobs by their polls otherwise. Empty where nothing was
    paused so; others may still concern the same jobs. Raises InvalidInput as `pause` does.
    """
    _target(queue, job_type)
    return await _lift(conn, queue, job_type, operators=False)


async def pauses(conn: db.Connection) -> list[Pause]:
    """Those whose time is not over, the oldest first."""
    return [Pause(**row) for row in await db.fetch(conn, statement("jobs_core", "pause/in_force"))]


async def end_due(conn: db.Connection) -> bool:
    """Put away the pauses whose time is over; whether there were any: then wake all, once this is committed."""
    return bool(await db.execute(conn, statement("jobs_core", "pause/end_due")))


async def forget_paused_times(conn: db.Connection) -> None:
    """Delete the times of ended pauses that no living job's give_up_at depends on any more."""
    await db.execute(conn, statement("jobs_core", "pause/forget"))


def pausing(job: AnyJob, outcome: Snooze) -> Also | None:
    """What the outcome wants written in the settling transaction, the pause of the job's queue last.

    Raises InvalidInput where `pause_queue_until` is no time.
    """
    if outcome.pause_queue_until is None:
        return outcome.also
    until, reason = outcome.pause_queue_until, gate.clean_text(outcome.reason)
    due_values(until, field="pause_queue_until")

    async def also(conn: db.Connection) -> Iterable[Ready] | None:
        made_ready = await outcome.also(conn) if outcome.also else None
        await prolong(
            conn, queue=job.queue, until=until, because=outcome.because, reason=reason, set_by=f"job {job.id}"
        )
        return made_ready

    return also


async def prolong(
    conn: db.Connection,
    *,
    queue: str,
    job_type: str | None = None,
    until: datetime | timedelta,
    because: str,
    reason: str,
    set_by: str,
) -> None:
    """Pause a queue, or a type in it, for what a run met: until then, or until what was said so before, if that is later."""
    values = {"queue": queue, "job_type": job_type, "because": because, "reason": reason, "set_by": set_by}
    await db.execute(conn, statement("jobs_core", "pause/prolong"), {**values, **due_values(until)})


async def lift_all(conn: db.Connection, *, because: str) -> int:
    """Lift all pauses that runs have set because of that; returns how many. After the commit, call `Notifier.wake_all`."""
    return await db.execute(conn, statement("jobs_core", "pause/lift_all"), {"because": because})


async def _lift(conn: db.Connection, queue: str | None, job_type: str | None, *, operators: bool) -> list[Pause]:
    values = {"queue": queue, "job_type": job_type, "operators": operators}
    return [Pause(**row) for row in await db.fetch(conn, statement("jobs_core", "pause/lift"), values)]


def _target(queue: str | None, job_type: str | None) -> dict[str, str | None]:
    if queue is None and job_type is None:
        raise InvalidInput("queue: neither a queue nor a job type is given; name one, or both", field="queue")
    return {
        "queue": queue if queue is None else gate.check_name(queue, field="queue"),
        "job_type": job_type if job_type is None else gate.check_name(job_type, field="job_type"),
    }
