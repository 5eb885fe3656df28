"""Evaluate: one batch of schedules that are due, in one transaction.

    lock (pass over what others hold) ─▶ how did its last jobs end? ─▶ which ticks run? ─▶ jobs ─▶ ticks, move on ─▶ commit
                                              └─ ten failures in a row: pause it, and tell

Any number of evaluators do this at once, and there is no leader. A schedule's ticks, their jobs and how far it is decided are
committed together, so one that is killed leaves nothing or all of it. Should a lock not hold, no two can add the same tick.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import sample

import structlog

from jobs_core import Connection, Created, HandlerTable, Jobs, db, execute, fetch, gate, statement
from jobs_core import cancel as cancels
from schedules import creating
from schedules.book import get
from schedules.creating import Refused, Wanted
from schedules.missed import to_run
from schedules.past import MOST_FAILURES, counted, look_back
from schedules.rules import Due
from schedules.schedule import Schedule, read

BATCH = 250
"""Schedules in one transaction: about a tenth of a second."""
MOST_TICKS = 1_000
"""Ticks in one transaction, unless one schedule has more: after an outage there may be many of each."""

log = structlog.get_logger()

OnPaused = Callable[[Connection, Schedule], Awaitable[object]]
"""Hears, in the transaction that pauses it, of a schedule that paused itself; a raise is logged, and no more."""


@dataclass(slots=True)
class Evaluated:
    """What one batch came to; after the commit call `follow_up`.

    schedules: how many were seen to. more: others may be due. jobs: created. refused: ticks that got none.
    overlapped: ticks that found the job before still there. paused: schedules that paused themselves, by id.
    """

    schedules: int = 0
    more: bool = False
    jobs: int = 0
    refused: int = 0
    overlapped: int = 0
    paused: list[int] = field(default_factory=list)
    to_wake: list[Created] = field(default_factory=list)
    to_cancel: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Turn:
    """One schedule that is due: what was found, and what is decided."""

    schedule: Schedule
    now: datetime
    due: list[Due] = field(default_factory=list)
    overlapped: list[Due] = field(default_factory=list)
    to_cancel: list[int] = field(default_factory=list)
    next_at: datetime | None = None
    failures: int = 0
    paused_why: str | None = None

    def work_out(self) -> None:
        """What is due, and when it is next; it is to pause instead where its rule has no sense.

        That was checked when it was put: but a zone may go, and one such schedule may not keep evaluators from the others.
        """
        rule, seen_until = self.schedule.rule, self.schedule.seen_until
        try:
            self.due = to_run(rule, seen_until, self.now)
            self.next_at = next(iter(rule.upcoming(max(self.now, seen_until), 1)), None)
        except Exception as error:  # noqa: BLE001 - it has asked nobody but croniter and the zones
            self.pause(f"its next tick cannot be worked out: {error}")

    def pause(self, why: str) -> None:
        """Let nothing run, now or later."""
        self.due, self.next_at, self.paused_why = [], None, gate.clean_text(why)


async def evaluate(
    conn: Connection,
    jobs: Jobs,
    *,
    batch: int = BATCH,
    now: datetime | None = None,
    on_paused: OnPaused | None = None,
) -> Evaluated:
    """Create the jobs of schedules that are due, at most a batch of them, of the types in `jobs.table`.

    The caller owns the transaction, commits it, and calls `follow_up`. now: for drills; Postgres' clock where it is not given.
    Raises what the database raises: nothing was done then, and others or the next call do it.
    """
    names = jobs.table.names
    values = {"job_types": sample(names, len(names)), "now": now, "batch": batch}  # no type is always first
    rows = await fetch(conn, statement("schedules", "schedule/due"), values)
    done = Evaluated()
    if not rows:
        return done
    turns = _worked_out([_Turn(read(row), row["now"]) for row in rows])
    done.schedules, done.more = len(turns), len(turns) < len(rows) or len(rows) == batch
    await _leave_out_known(conn, turns)
    await _decide(conn, jobs.table, turns)
    await _create(conn, jobs, turns, done)
    await _move_on(conn, turns)
    done.to_cancel = [job_id for turn in turns for job_id in turn.to_cancel]
    if done.to_cancel:
        await cancels.ask(conn, done.to_cancel, reason=_GAVE_WAY)
    for turn in turns:
        if turn.paused_why:
            done.paused.append(turn.schedule.id)
            await _tell(conn, turn, on_paused)
    return done


async def follow_up(jobs: Jobs, done: Evaluated) -> None:
    """After the commit: wake idle workers, and end what is to give way. Lost, neither is missed: polls and upkeep do both."""
    for created in done.to_wake:
        created.wake()
    for job_id in done.to_cancel:
        await jobs.cancel(job_id, reason=_GAVE_WAY)


_GAVE_WAY = "its schedule is due again"


def _worked_out(turns: Sequence[_Turn]) -> list[_Turn]:
    """The first of these that have no more than MOST_TICKS together, one at least; by id, as their jobs lock what they need."""
    taken, ticks = list[_Turn](), 0
    for turn in turns:
        turn.work_out()
        ticks += len(turn.due)
        if taken and ticks > MOST_TICKS:
            break
        taken.append(turn)
    return sorted(taken, key=lambda turn: turn.schedule.id)


async def _decide(conn: Connection, table: HandlerTable, turns: Sequence[_Turn]) -> None:
    """Who is paused, which ticks do not run as an earlier one's job has not ended, and which jobs are to end for them."""
    pasts = await look_back(conn, table, [turn.schedule for turn in turns])
    for turn in turns:
        past = pasts[turn.schedule.id]
        turn.failures = past.failures
        if past.failures >= MOST_FAILURES:
            turn.pause(f"{past.failures} failures in a row")
        match turn.schedule.rule.overlap:
            case "skip":
                free = 0 if past.living else 1
                turn.due, turn.overlapped = turn.due[:free], turn.due[free:]
            case "cancel" if turn.due:
                turn.due, turn.overlapped = turn.due[-1:], turn.due[:-1]
                turn.to_cancel = past.living


async def _leave_out_known(conn: Connection, turns: Sequence[_Turn]) -> None:
    slots = [(turn.schedule.id, due.slot) for turn in turns for due in turn.due]
    if not slots:
        return
    values = {"schedule_ids": [schedule_id for schedule_id, _ in slots], "slots": [slot for _, slot in slots]}
    rows = await fetch(conn, statement("schedules", "tick/known"), values)
    known = {(row["schedule_id"], row["slot"]) for row in rows}
    for turn in turns:
        turn.due = [due for due in turn.due if (turn.schedule.id, due.slot) not in known]


async def _create(conn: Connection, jobs: Jobs, turns: Sequence[_Turn], done: Evaluated) -> None:
    """Create the jobs, and add a tick for each, and for what overlapped."""
    wanted = [Wanted(turn.schedule, due) for turn in turns for due in turn.due]
    made, done.to_wake = await creating.create(conn, jobs, wanted)
    done.jobs = sum(isinstance(one, int) for one in made)
    done.refused = sum(isinstance(one, Refused) for one in made)
    overlapped = [Wanted(turn.schedule, due) for turn in turns for due in turn.overlapped]
    done.overlapped = len(overlapped)
    await creating.add_ticks(conn, [*wanted, *overlapped], [*made, *[None] * len(overlapped)])
    turn_of = {turn.schedule.id: turn for turn in turns}
    for one, result in zip(wanted, made, strict=True):
        turn = turn_of[one.schedule.id]
        if isinstance(result, Refused):
            turn.failures = counted(turn.failures, "refused")
            turn.to_cancel = []  # there is nothing to give way to
            log.warning("schedule.tick_refused", schedule=one.schedule.name, slot=one.due.slot)
        else:  # by its type's unique key an old job may be the new one, too
            turn.to_cancel = [job_id for job_id in turn.to_cancel if job_id != result]


async def _move_on(conn: Connection, turns: Sequence[_Turn]) -> None:
    values: dict[str, list[object]] = {
        "ids": [turn.schedule.id for turn in turns],
        "seen_untils": [max(turn.now, turn.schedule.seen_until) for turn in turns],
        "next_ats": [turn.next_at for turn in turns],
        "failures": [turn.failures for turn in turns],
        "paused_whys": [turn.paused_why for turn in turns],
    }
    await execute(conn, statement("schedules", "schedule/advance"), values)


async def _tell(conn: Connection, turn: _Turn, on_paused: OnPaused | None) -> None:
    log.warning("schedule.paused", schedule=turn.schedule.name, why=turn.paused_why)
    if on_paused is None:
        return
    try:
        async with conn.transaction():
            await on_paused(conn, await get(conn, turn.schedule.id))
    except Exception as error:
        if db.will_pass(error):
            raise
        log.warning("schedule.pause_not_told", schedule=turn.schedule.name, error=db.describe(error))
