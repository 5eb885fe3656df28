"""Checks of the queue: its schema and our rights on it, and whether jobs come to be run."""

import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import psutil

from assistant.chats import CHAT_TURN
from assistant.transcription import TRANSCRIBE
from cli.database import bring_up_to_date, opened
from cli.doctor.check import Finding, Mend, fail, ok, skipped, warn
from cli.doctor.place import Place
from cli.rooms import ROOMS
from cli.table import build_table
from jobs_core import SchemaMismatch, db, diagnosis
from jobs_core.history import days_ahead, make_partitions
from jobs_core.lanes import count_held, list_lanes
from jobs_core.migrations import pending
from jobs_core.wake import Notifier
from workers.guard_link import VARIABLE
from workers.process_tree import weaker_here

_SHOWN = 3
_ALMOST_FULL = 0.5
"""Of the queue of NOTIFYs: full, it fails the commit of whoever sends one."""
_WITH_CHILDREN = {CHAT_TURN.name, TRANSCRIBE.name}
"""Types whose runs have processes below them."""


async def schema(place: Place) -> Finding:
    """Is the schema this program's?"""
    async with place.look() as conn:
        try:
            missing = await pending(conn, ROOMS)
        except SchemaMismatch as error:
            return fail(str(error).split(". ", maxsplit=1)[0], "update the program, or name another database")
    if missing:
        mend = Mend(f"apply {len(missing)} migrations", _migrate)
        return fail(f"{len(missing)} migrations are not applied, first {missing[0]}", "./jobs migrate", mend)
    return ok("the schema is this program's")


async def _migrate(place: Place) -> str:
    async with place.write() as conn:
        applied = await bring_up_to_date(conn, build_table(place.settings.handlers))
    return f"applied {len(applied)} migrations"


async def privileges(place: Place) -> Finding:
    """May this role do what the program does?"""
    async with place.look() as conn:
        lacking = await diagnosis.privileges(conn)
    if lacking:
        first = lacking[0]
        more = f", and on {len(lacking) - 1} more" if len(lacking) > 1 else ""
        return fail(
            f"this role lacks {', '.join(first['lacks'])} on {first['name']}{more}",
            "come as the role that migrated, or be granted it: GRANT (that role) TO (this one)",
        )
    return ok("this role may do all that the program does")


async def upkeep(place: Place) -> Finding:
    """Are history's days made ahead?"""
    async with place.look() as conn:
        days = await days_ahead(conn)
    todo = "see in the workers' logs (history.day_missing, housekeeping.failed) what keeps them from it"
    mend = Mend("make the days that are missing", _make_days)
    if days < 1:
        return fail(f"history has no partition for {'today' if days < 0 else 'tomorrow'}", todo, mend)
    if days < place.bounds.days_ahead:
        return warn(f"history's days are made for {days} days ahead, and should be for a week", todo, mend)
    return ok(f"history's days are made for {days} days ahead")


async def _make_days(place: Place) -> str:
    async with place.write() as conn:
        made, missing = await make_partitions(conn)
    return f"made {len(made)} partitions" + "".join(f"; {name}: {why}" for name, why in missing.items())


async def workers(place: Place) -> Finding:
    """Do workers live, and are the dead seen to?"""
    async with place.look() as conn:
        found = await diagnosis.workers(conn, died_within_s=place.bounds.died_s)
    of = {state: [row for row in found if row["state"] == state] for state in ("live", "silent", "died")}
    told = {state: ", ".join(f"{row['id']} ({row['host']}, process {row['pid']})" for row in of[state]) for state in of}
    if of["silent"]:
        return fail(f"nobody takes over from worker {told['silent']}", "start workers: ./jobs up, or ./jobs worker")
    if not of["live"]:
        return fail("no worker lives: no job is run", "start workers: ./jobs up, or ./jobs worker")
    if of["died"]:
        return warn(
            f"worker {told['died']} died within the hour; its jobs were taken over",
            "see in its logs, and in the system's, what killed it",
        )
    return ok(f"{len(of['live'])} workers live")


async def guard(place: Place) -> Finding:
    """Is each worker of this host, that may have processes below it, under a supervisor that kills them in its stead?"""
    async with place.look() as conn:
        found = await diagnosis.workers(conn, died_within_s=0)
    here = [row for row in found if row["state"] == "live" and row["host"] == socket.gethostname()]
    here = [row for row in here if _WITH_CHILDREN & set(row["job_types"])]
    if not here:
        return skipped("no worker that runs agents lives on this host")
    guarded = {row["pid"]: _is_guarded(row["pid"]) for row in here}
    alone = [str(pid) for pid, is_guarded in guarded.items() if is_guarded is False]
    if alone:
        return warn(
            f"process {', '.join(alone)} works without a supervisor: what it leaves when it dies goes on",
            "start workers by ./jobs up or ./jobs worker",
        )
    if weaker := weaker_here():
        return warn(weaker.rstrip("."), "run workers on Linux where agents' tools act on the world")
    if None in guarded.values():
        return skipped("the workers of this host are another user's: come as that one")
    return ok(f"{len(here)} workers of this host are under guard")


def _is_guarded(pid: int) -> bool | None:
    """Whether a supervisor started it; the worker itself ends when that is gone. None: it is not ours to see."""
    with suppress(psutil.NoSuchProcess):
        try:
            return VARIABLE in psutil.Process(pid).environ()
        except psutil.AccessDenied:
            return None
    return True  # it has ended since


async def listeners(place: Place) -> Finding:
    """Do workers hear of new jobs at once?"""
    async with place.look() as conn:
        server = await diagnosis.server(conn)
        hear = await diagnosis.listeners(conn)
        live = [row for row in await diagnosis.workers(conn, died_within_s=0) if row["state"] == "live"]
        pooled = conn.pooled and not place.core.database_direct_url
    if server.notify_usage > _ALMOST_FULL:
        return fail(
            f"the queue of NOTIFYs is {server.notify_usage:.0%} full: full, it fails commits",
            "end the session that listens inside a transaction: ./jobs doctor --only snapshots shows old ones",
        )
    if not live or pooled:
        return skipped("no worker lives" if not live else "none can be heard through a pooler: see pooler")
    if hear < len(live):
        return warn(
            f"{len(live) - hear} of {len(live)} workers do not listen: they look for jobs each second",
            "see listen.failed in their logs",
        )
    return ok(f"{hear} workers hear of jobs at once")


async def lanes(place: Place) -> Finding:
    """Does every lane go on that nobody holds?"""
    async with place.look() as conn:
        stranded = await diagnosis.stranded(conn)
        held = await count_held(conn)
        first = await list_lanes(conn, held=True, limit=_SHOWN)
    if stranded:
        names = [row["lane"] for row in stranded]
        mend = Mend("make the first job of each its head", _promoting(names))
        return fail(
            f"{len(names)} lanes stand still and nobody holds them: {', '.join(names[:_SHOWN])}",
            "./jobs doctor --fix, and report it: this should not be",
            mend,
        )
    if held:
        names = [f"{view.lane} ({view.because})" if view.because else view.lane for view in first]
        return warn(f"{held} lanes are held: {', '.join(names)}", "./jobs lane ls --held; ./jobs lane release LANE")
    return ok("no lane is held, or stands still")


def _promoting(names: list[str]) -> Callable[[Place], Coroutine[Any, Any, str]]:
    async def promote(place: Place) -> str:
        async with opened(place.settings) as database, Notifier(database) as notifier, database.connection() as conn:
            ready = [one for lane in names for one in await diagnosis.promote(conn, lane)]
            notifier.wake(ready)
        return f"{len(ready)} of {len(names)} lanes go on"

    return promote


async def unserved(place: Place) -> Finding:
    """Is there a worker for every job that stands ready?"""
    async with place.look() as conn:
        found = await diagnosis.unserved(conn, longer_than_s=place.bounds.ready_s)
    if not found:
        return ok("workers serve all that stands ready")
    told = [f"{row['jobs']:,} {row['job_type']} on queue {row['queue']}{_heads(row)}" for row in found[:_SHOWN]]
    more = f", and {len(found) - _SHOWN} more kinds" if len(found) > _SHOWN else ""
    return fail(
        f"no live worker serves {', '.join(told)}{more}",
        "start workers with that queue, that type (JOBS_HANDLERS) and credentials for agents' jobs; or ./jobs cancel",
    )


def _heads(row: db.Row) -> str:
    return f" (keeping {row['heads']} lanes waiting)" if row["heads"] else ""
