"""Checks of the queue: its schema, our rights on it, its upkeep, and whether jobs come to be run."""

from collections.abc import Callable, Coroutine
from typing import Any

from cli.database import bring_up_to_date, opened
from cli.doctor.check import Finding, Mend, fail, listed, n_of, ok, skipped, warn
from cli.doctor.place import Place
from cli.rooms import ROOMS
from cli.table import build_table
from jobs_core import SchemaMismatch, db, diagnosis
from jobs_core.gauges import read
from jobs_core.history import days_ahead, make_partitions
from jobs_core.lanes import count_held, list_lanes
from jobs_core.migrations import pending
from jobs_core.wake import Notifier
from schedules.metrics import look


async def schema(place: Place) -> Finding:
    """Is the schema this program's?"""
    async with place.look() as conn:
        try:
            missing = await pending(conn, ROOMS)
        except SchemaMismatch as error:
            return fail(str(error).split(". ", maxsplit=1)[0], "update the program, or name another database")
    if missing:
        lacks = n_of(len(missing), "migration")
        return fail(f"the schema lacks {lacks}, first {missing[0]}", "./jobs migrate", Mend(f"apply {lacks}", _migrate))
    return ok("the schema is this program's")


async def _migrate(place: Place) -> str:
    async with place.write() as conn:
        applied = await bring_up_to_date(conn, build_table(place.settings.handlers))
    return f"applied {n_of(len(applied), 'migration')}"


async def privileges(place: Place) -> Finding:
    """May this role do what the program does?"""
    async with place.look() as conn:
        lacking = await diagnosis.privileges(conn)
    if lacking:
        told = [f"{' and '.join(row['lacks'])} on {row['name']}" for row in lacking]
        return fail(
            f"this role lacks {listed(told)}",
            "come as the role that migrated, or be granted it: GRANT (that role) TO (this one)",
        )
    return ok("this role may do all that the program does")


async def upkeep(place: Place) -> Finding:
    """Are jobs made ready when they are due, and history's days ahead?"""
    async with place.look() as conn:
        due = [one.value for one in await read(conn, "jobs_core") if one.gauge == "jobs_due_late_seconds"]
        days = await days_ahead(conn)
    if (late_s := max(due)) > place.bounds.late_s:
        return fail(
            f"nobody makes jobs ready that are due: one is so for {late_s:.0f} s",
            "start workers, or see in the logs of those that live (upkeep.failed) what keeps them from it",
        )
    todo = "see in the workers' logs (history.day_missing, housekeeping.failed) what keeps them from it"
    mend = Mend("make the days that are missing", _make_days)
    if days < 1:
        return fail(f"history has no partition for {'today' if days < 0 else 'tomorrow'}", todo, mend)
    if days < place.bounds.days_ahead:
        return warn(f"history's days are made for {n_of(days, 'day')} ahead, and should be for a week", todo, mend)
    return ok(f"history's days are made for {n_of(days, 'day')} ahead")


async def _make_days(place: Place) -> str:
    async with place.write() as conn:
        made, missing = await make_partitions(conn)
    return f"made {n_of(len(made), 'partition')}" + "".join(f"; {name}: {why}" for name, why in missing.items())


async def schedules(place: Place) -> Finding:
    """Does somebody see to schedules when they are due?"""
    async with place.look() as conn:
        first = [one for one in await look(conn) if one.gauge == "jobs_schedule_late_seconds"]
    if not first:
        return skipped("there is no schedule that has a next tick")
    late = [f"{one.labels[0]} ({one.value:.0f} s)" for one in first if one.value > place.bounds.late_s]
    if late:
        return fail(
            f"nobody sees to schedules that are due, of job type {listed(late)}",
            "start ./jobs up, or ./jobs scheduler, with JOBS_HANDLERS if it is to know that type; one that runs says "
            "in its log what keeps it",
        )
    return ok("schedules are seen to when they are due")


async def lanes(place: Place) -> Finding:
    """Does every lane go on that nobody holds?"""
    async with place.look() as conn:
        stranded = await diagnosis.stranded(conn)
        held = await count_held(conn)
        first = await list_lanes(conn, held=True)
    if stranded:
        names = [row["lane"] for row in stranded]
        mend = Mend("make the first job of each its head", _promoting(names))
        return fail(
            f"no job begins in these lanes, though nobody holds them: {listed(names)}",
            "./jobs doctor --fix, and report it: this should not be",
            mend,
        )
    if held:
        names = [f"{view.lane} ({view.because})" if view.because else view.lane for view in first]
        return warn(f"these lanes are held: {listed(names, held)}", "./jobs lane ls --held; ./jobs lane release LANE")
    return ok("no lane is held, or stands still")


def _promoting(names: list[str]) -> Callable[[Place], Coroutine[Any, Any, str]]:
    async def promote(place: Place) -> str:
        async with opened(place.settings) as database, Notifier(database) as notifier, database.connection() as conn:
            ready = [one for lane in names for one in await diagnosis.promote(conn, lane)]
            notifier.wake(ready)
        return f"{len(ready)} of {n_of(len(names), 'lane')} going on again"

    return promote


async def unserved(place: Place) -> Finding:
    """Is there a worker for every job that stands ready?"""
    async with place.look() as conn:
        found = await diagnosis.unserved(conn, longer_than_s=place.bounds.ready_s)
    if not found:
        return ok("workers serve all that stands ready")
    told = [f"{row['jobs']:,} {row['job_type']} on queue {row['queue']}{_heads(row)}" for row in found]
    return fail(
        f"no live worker serves {listed(told)}",
        "start workers with that queue, that type (JOBS_HANDLERS) and credentials for agents' jobs; or ./jobs cancel",
    )


def _heads(row: db.Row) -> str:
    return f" (keeping {n_of(row['heads'], 'lane')} waiting)" if row["heads"] else ""
