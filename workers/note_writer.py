"""What the runs of a process say, written together: in one statement, every half second at most.

    job.log ─▶ its notebook ◀─ tick (ten times a second while handlers run): news, and half a second since the last write?
                                 └─▶ write all ─▶ written │ its row was locked: at the next │ the run lost its job: forgotten
    a run that ends ─▶ flushed ─▶ the same at once ─▶ its settle

A run's last notes are written before its outcome: who sees that has seen them. For runs that say nothing, nothing is done.
"""

import asyncio
from contextvars import Context

import structlog

from jobs_core import AnyJob, Connection, Database, db
from jobs_core.away import repeat_while_away
from jobs_core.notes import Clock, Notebook, begin, write

log = structlog.get_logger()

EVERY_S = 0.5
_MOST = 500
"""Notes in one statement; each has 12 KB at most."""
_AGAIN_S = 0.05
"""Before what could not be written, as somebody had the job's row locked, is tried again for a run that has ended."""


class NoteWriter:
    """Knows the notebooks of the runs under way, by their tokens; lives in one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: dict[int, Notebook] = {}
        self._clock: Clock | None = None
        self._writing: asyncio.Task[None] | None = None
        self._next_s = 0.0

    def notebook(self, job: AnyJob) -> Notebook:
        """A new one, for a run that says something for the first time, in any thread."""
        notebook = self._open[job.token] = Notebook(job.id, job.token, job.created_at)
        return notebook

    def tick(self, now_s: float) -> None:
        """Write if there is news and half a second has passed since the last time; returns at once."""
        if self._open and now_s >= self._next_s and not self._is_writing and self._news():
            self._next_s = now_s + EVERY_S
            self._begin()

    async def flushed(self, job: AnyJob) -> None:
        """Return when all that the job's run has said is written, or has lost its job; the run says nothing any more."""
        notebook = self._open.get(job.token)
        while notebook and notebook.has_news:
            began = not self._is_writing
            writing = self._writing if not began and self._writing else self._begin()
            await asyncio.wait({writing})
            if began and notebook.has_news:
                await asyncio.sleep(_AGAIN_S)

    def close(self, job: AnyJob) -> None:
        """Forget what a run says from now on, if it goes on in a thread, and what is not written."""
        if notebook := self._open.pop(job.token, None):
            notebook.close()

    def drop(self) -> None:
        """Write nothing any more."""
        for notebook in list(self._open.values()):
            notebook.close()
        self._open.clear()
        if self._writing:
            self._writing.cancel()

    @property
    def _is_writing(self) -> bool:
        return self._writing is not None and not self._writing.done()

    def _begin(self) -> asyncio.Task[None]:
        # In a context of its own: it is nobody's run.
        self._writing = asyncio.get_running_loop().create_task(self.run_once(), context=Context(), name="notes")
        return self._writing

    async def run_once(self) -> None:
        """Write what there is; what Postgres refuses is dropped: it would refuse it again, and a run waits to be settled."""
        news = self._news()
        try:
            await repeat_while_away(self._database, lambda conn: self._write(conn, news))
        except Exception as error:  # noqa: BLE001 - what a run says must not keep it from its settle
            log.warning("notes.refused", runs=len(news), error=db.describe(error))
            for notebook in news:
                notebook.refuse()

    async def _write(self, conn: Connection, news: list[Notebook]) -> None:
        if new := [notebook for notebook in news if notebook.numbers_before is None]:
            self._clock = await begin(conn, new)
        assert self._clock, "the first of all notebooks was new"
        room = _MOST
        for notebook in news:
            room -= len(notebook.take(room, self._clock)) if room > 0 else 0
        if said := [notebook for notebook in news if notebook.taken]:
            self._clock = await write(conn, said)
            self._put_at_the_end(said)

    def _put_at_the_end(self, served: list[Notebook]) -> None:
        """So that the others are served first; those that have lost their jobs go."""
        for notebook in served:
            if self._open.pop(notebook.token, None) and not notebook.closed:
                self._open[notebook.token] = notebook

    def _news(self) -> list[Notebook]:
        """The runs that have something to say, those that were served last at the end."""
        return [notebook for notebook in list(self._open.values()) if notebook.has_news]
