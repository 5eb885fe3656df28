"""What the turns of a process show while they run, written together: one statement, five times a second at most.

    narrator ─▶ its LiveRun: gathered, text with text ─▶ at 0.2 s since the last write ─▶ write all (fenced) ─▶ written
                     ▲                                     20 ms after the first word          │ not written: next time, the
                     └─ whole: what it shows by now, instead of what is new ◀──────────────────┘ whole of what it shows

A run waits for nothing here, and nothing here fails it: what cannot be written is made good by a `reset`, which holds all that
the run shows by then, or is lost. So little is remembered: what is new, and what is shown, both bounded.
"""

import asyncio
import json
import random
import time
from collections.abc import Iterable
from contextvars import Context
from itertools import count
from typing import Any
from uuid import UUID

import structlog

from jobs_core import Connection, Database, db
from jobs_core.tasks import end_task
from sessions.events import TurnEvent
from sessions.live_rows import FORGET_BATCH, Audience, Held, LiveRow, forget_live, write_live
from sessions.shown import Shown

log = structlog.get_logger()

Event = tuple[str, dict[str, Any]]

EVERY_S = 0.2
GATHER_S = 0.02
"""From a run's first word after a silence to its write: what comes with it goes with it."""
MAX_NEW_CHARS = 64 * 1024
"""Of what is new in one run: what is more is written as a whole."""
MAX_WRITE_CHARS = 1024 * 1024
"""Of one statement; the runs that were left out come first in the next."""
_AWAY_S = 1.0
_FORGET_EVERY_S = 600.0
_LAST_WRITE_S = 1.0


class LiveRun:
    """What one run shows. `tell` is an OnEvent; it never waits or raises."""

    def __init__(self, live: "Live", held: Held, audience: Audience, turn_id: UUID) -> None:
        self.held = held
        self.closed = False
        self.has_news = False
        """Whether there is something to write."""
        self._live = live
        self._audience = audience
        self._turn_id = turn_id
        self._shown = Shown()
        self._new = list[Event]()
        self._new_chars = 0
        self._end: Event | None = None
        self._said = False
        self._whole = True  # a run begins with a reset: what an earlier one has shown is void

    def tell(self, event: TurnEvent) -> None:
        """Take an event in, to be written soon."""
        if self.closed:
            return
        self._said = True
        kind, about = event.kind, dict(event.about)
        if kind == "void":
            self._whole = True
        if kind == "text" and self._new and _goes_on(self._new[-1], about):
            self._new[-1][1]["text"] += about["text"]
        else:
            self._new.append((kind, about))
        self._new_chars += sum(len(value) for value in about.values() if isinstance(value, str))
        if self._new_chars > MAX_NEW_CHARS:
            self._put_together()
            self._whole = True
        self._has_news()

    def end(self, how: str) -> None:
        """Say how the run ended, where it said anything; it says nothing after that.

        One that found the answer on record has shown nothing, and what an earlier run has shown stands until the answer comes.
        """
        if self.closed:
            return
        self.closed = True
        if self._said:
            self._end = ("end", {"how": how})
            self._has_news()
        else:
            self._live.forget(self)

    def take(self, seq: int) -> LiveRow:
        """The row to be written now."""
        new = self._put_together()
        events = [("reset", self._shown.as_reset())] if self._whole else new
        if self._end:
            events.append(self._end)
        self._whole = self.has_news = False
        return LiveRow(*self._audience, seq, self._turn_id, json.dumps(events))

    def not_written(self) -> None:
        """What was taken is not there, or may not be: the next row has all that is shown."""
        self._whole = True
        self._has_news()

    def drop(self) -> None:
        """Say nothing more, and forget what is not written."""
        self.closed = True
        self.has_news = False

    def _has_news(self) -> None:
        self.has_news = True
        self._live.wake()

    def _put_together(self) -> list[Event]:
        """Take what is new into what is shown."""
        new, self._new, self._new_chars = self._new, [], 0
        for kind, about in new:
            self._shown.apply(kind, about)
        return new


class Live:
    """The runs of this process that are being shown, and the one task that writes for them while there is news."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._runs = dict[LiveRun, None]()  # those that were written longest ago first
        self._seqs = count(1)
        self._writing: asyncio.Task[None] | None = None
        self._forgetting: asyncio.Task[None] | None = None
        self._wrote_s = 0.0
        self._away = False

    def start(self) -> None:
        """Begin to forget what is old."""
        self._forgetting = asyncio.create_task(self._forget(), name="old live events")

    async def stop(self) -> None:
        """End; the last words of runs that have just ended are written first, if that takes no longer than a second."""
        if self._writing:
            await asyncio.wait({self._writing}, timeout=_LAST_WRITE_S)
        for task in filter(None, (self._writing, self._forgetting)):
            await end_task(task)

    def open(self, held: Held, audience: Audience, turn_id: UUID) -> LiveRun:
        """A run to be shown, until it is ended."""
        run = LiveRun(self, held, audience, turn_id)
        self._runs[run] = None
        return run

    def forget(self, run: LiveRun) -> None:
        """Write nothing for this run any more."""
        self._runs.pop(run, None)

    def wake(self) -> None:
        """There is news."""
        if self._writing is None or self._writing.done():
            # In a context of its own: it is nobody's run.
            self._writing = asyncio.get_running_loop().create_task(self._write(), context=Context(), name="live events")

    async def _write(self) -> None:
        while any(run.has_news for run in self._runs):
            await asyncio.sleep(max(GATHER_S, self._wrote_s + EVERY_S - time.monotonic()))
            self._wrote_s = time.monotonic()
            await self.run_once()
            if self._away:
                await asyncio.sleep(_AWAY_S)

    async def run_once(self) -> None:
        """Write what there is. Nothing is raised: what could not be written is, as a whole, in the next row of its run."""
        taken = self._take()
        try:
            async with self._database.connection() as conn:
                written, holding = await write_live(conn, [(run.held, row) for run, row in taken.items()])
            self._away = False
        except Exception as error:  # noqa: BLE001 - what is shown of turns must not keep them from their end
            self._fail(taken, error)
            return
        for run, row in taken.items():
            if row.seq not in holding:
                run.drop()
            elif row.seq not in written:
                run.not_written()
            self._keep(run)

    def _take(self) -> dict[LiveRun, LiveRow]:
        taken, room = dict[LiveRun, LiveRow](), MAX_WRITE_CHARS
        for run in self._runs:
            if run.has_news and room > 0:
                taken[run] = run.take(next(self._seqs))
                room -= len(taken[run].events)
        return taken

    def _keep(self, run: LiveRun) -> None:
        """At the end, so that others are served first; one that says nothing any more goes."""
        self.forget(run)
        if run.has_news or not run.closed:
            self._runs[run] = None

    def _fail(self, runs: Iterable[LiveRun], error: Exception) -> None:
        if not self._away:
            log.warning("live_events.not_written", error=db.describe(error))
        self._away = True
        for run in runs:
            if run.closed:  # nobody waits for its last words
                run.drop()
            else:
                run.not_written()
            self._keep(run)

    async def _forget(self) -> None:
        while True:
            await asyncio.sleep(random.uniform(0.5, 1.5) * _FORGET_EVERY_S)  # noqa: S311 - keeps workers out of step
            try:
                async with self._database.connection() as conn:
                    await forget_all(conn)
            except Exception as error:  # noqa: BLE001 - tried again in ten minutes
                log.warning("live_events.not_forgotten", error=db.describe(error))


async def forget_all(conn: Connection) -> None:
    """Delete all rows of runs that have said nothing for an hour, a thousand at a time."""
    while await forget_live(conn) == FORGET_BATCH:
        pass


def _goes_on(last: Event, about: dict[str, Any]) -> bool:
    """Whether a piece of text comes right after that event in the same message."""
    kind, before = last
    return kind == "text" and before["message"] == about["message"] and before["parent"] == about["parent"]
