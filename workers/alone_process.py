"""Alone runners of a worker without a supervisor: of a program that a worker is only a part of.

    look, each second ─▶ suspects stand ready? ─▶ start the command, which runs an AloneRunner ─▶ wait for its end ─┐
      ▲─────────────────────────────────────────────────────────────────────────────────────────────────────────────┘

A job whose started run was lost with its process runs next as the only job of one (jobs_core.suspects): it may be what ended
that process. A supervisor starts up to ten of those at once and guards them; here it is one at a time.
"""

import asyncio
from collections.abc import Sequence

import structlog

from jobs_core import Jobs, db
from jobs_core.tasks import end_task
from jobs_core.upkeep import look

log = structlog.get_logger()

_LOOK_EVERY_S = 1.0
_AFTER_FAILURE_S = 5.0
"""Until the next look after a process that did not end in order: a command that cannot run costs a start each time."""
_KILL_AFTER_S = 15.0
"""Over drain_s: as a supervisor allows, for its run to be handed back."""


class AloneProcess:
    """A Resource of a worker: starts `command` where jobs of these queues wait to run alone. `run_once` is one look.

    The command is to open a database, make the same handler table, and `run_process` an AloneRunner. drain_s: of its settings.
    """

    def __init__(self, jobs: Jobs, command: Sequence[str], *, queues: Sequence[str], drain_s: float) -> None:
        self._jobs = jobs
        self._command = list(command)
        self._queues = list(queues)
        self._drain_s = drain_s
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="alone process")

    async def lease_lost(self) -> None:
        """Nothing: the process has a lease of its own."""

    async def stop(self) -> None:
        """Look no more, and have the process drain."""
        if self._task:
            await end_task(self._task)
        if self._process and self._process.returncode is None:
            self._process.terminate()
            end = asyncio.create_task(self._process.wait())
            await asyncio.wait({end}, timeout=self._drain_s + _KILL_AFTER_S)
            if not end.done():
                log.error("alone.killed", pid=self._process.pid, why="it did not end in time")
                self._process.kill()
            await end

    async def run_once(self) -> float:
        """One look, and the whole life of a process where there are suspects; returns the seconds until the next look."""
        async with self._jobs.database.connection() as conn:
            seen = await look(conn, queues=self._queues, job_types=self._jobs.table.runnable)
        if not seen.suspects:
            return _LOOK_EVERY_S
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # the terminal's Ctrl-C is for us
        )
        log.info("alone.started", pid=self._process.pid, suspects=seen.suspects)
        code = await self._process.wait()
        log_end = log.warning if code else log.info
        log_end("alone.ended", pid=self._process.pid, exit_code=code)
        return _AFTER_FAILURE_S if code else _LOOK_EVERY_S

    async def _run(self) -> None:
        while True:
            try:
                wait_s = await self.run_once()
            except Exception as error:  # noqa: BLE001 - the next look may do; without looks suspects wait for ever
                log.warning("alone.not_started", error=db.describe(error))
                wait_s = _AFTER_FAILURE_S
            await asyncio.sleep(wait_s)
