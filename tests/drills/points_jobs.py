"""Jobs that the points drill sends on their way, one way each, and what their runs leave outside the database.

Each run, and each time that a step is really done, adds a line to a file: an effect that no token guards. A rescued run waits
until the drill has dealt with the fault, so that a stale write finds its successor at work.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    HandlerTable,
    JobType,
    Limit,
    NewJob,
    Outcome,
    Retry,
    RetryPolicy,
    execute,
)
from jobs_core.waits import emit

AGENT = ("sleep", "1000")
_LOOK_EVERY_S = 0.02


class Part(BaseModel):
    """What one job of a trial is to do, and what it is there."""

    trial: str
    role: str = "subject"
    act: str = "write"


_SOON = RetryPolicy(first_s=0.1)
PLAIN = JobType("point_plain", Part, retries=_SOON)
BRIEF = JobType("point_brief", Part, retries=_SOON, brief=True)
LANED = JobType("point_laned", Part, retries=_SOON, lane=lambda part: f"lane {part.trial}")
LIMITED = JobType("point_limited", Part, retries=_SOON, limits=lambda part: [Limit(f"key {part.trial}", slots=1)])
TYPES = (PLAIN, BRIEF, LANED, LIMITED)


@dataclass(frozen=True, slots=True)
class Files:
    """Where a trial's runs and the drill meet."""

    folder: Path
    trial: str

    def note(self, what: str, job: AnyJob) -> None:
        """Add a line: what this run has done."""
        with self._path("effects").open("a") as file:
            file.write(f"{what} {job.input.role} {job.token}\n")

    def noted(self, what: str, role: str) -> int:
        """How often it was done."""
        if not self._path("effects").exists():
            return 0
        return sum(line.split()[:2] == [what, role] for line in self._path("effects").read_text().splitlines())

    def tell(self, name: str) -> None:
        """Say that it is so: `stands` (a run waits at its gate), `again` (a rescued one), `open` (they may go on)."""
        self._path(name).touch()

    def told(self, name: str) -> bool:
        """Whether somebody has said so."""
        return self._path(name).exists()

    async def until_told(self, name: str) -> None:
        """Wait for it."""
        while not self.told(name):
            await asyncio.sleep(_LOOK_EVERY_S)

    def _path(self, name: str) -> Path:
        return self.folder / f"{self.trial}.{name}"


def event_of(trial: str) -> str:
    """What the trial's waiter waits for."""
    return f"event {trial}"


def table(folder: Path | None = None) -> HandlerTable:
    """The types; with a folder, for the files, also their handlers."""
    known = HandlerTable()
    known.declare_all(TYPES)

    async def handle(job: AnyJob) -> Outcome:
        assert folder
        files = Files(folder, job.input.trial)
        files.note("run", job)
        if job.rescued:
            files.tell("again")
            await files.until_told("open")
        return await _ACTS[job.input.act](job, files)

    if folder:
        for job_type in TYPES:
            known.register_handler(job_type, handle)
    return known


def _wrote(job: AnyJob) -> Complete:
    return Complete(also=partial(_write, job))


async def _write(job: AnyJob, conn: Connection) -> None:
    values = {"id": job.id, "token": job.token}
    await execute(conn, "INSERT INTO effects (job_id, token) VALUES (%(id)s, %(token)s)", values)


async def _nothing(_: AnyJob, __: Files) -> Complete:
    return Complete()


async def _only_write(job: AnyJob, _: Files) -> Complete:
    return _wrote(job)


async def _stand(job: AnyJob, files: Files) -> Complete:
    """With an agent at work, which nobody but a guard ends where this process cannot."""
    agent = await asyncio.create_subprocess_exec(*AGENT)
    try:
        files.tell("stands")
        await files.until_told("open")
    finally:
        agent.kill()
        await agent.wait()
    return _wrote(job)


async def _step(job: AnyJob, files: Files) -> Complete:
    await job.step("pay", lambda: files.note("step", job))
    return _wrote(job)


async def _ask(job: AnyJob, files: Files) -> Complete:
    await job.step("pay", lambda: files.note("step", job), on_unknown="ask")
    return _wrote(job)


async def _wait(job: AnyJob, files: Files) -> Complete:
    await job.wait_for(event_of(files.trial))
    return _wrote(job)


async def _emit(job: AnyJob, files: Files) -> Complete:
    async def also(conn: Connection) -> None:
        await _write(job, conn)
        await emit(conn, event_of(files.trial))

    return Complete(also=also)


async def _say(job: AnyJob, _: Files) -> Complete:
    job.log("here")
    return _wrote(job)


async def _retry(job: AnyJob, _: Files) -> Outcome:
    return _wrote(job) if job.retry_count else Retry("once", policy=_SOON)


async def _spawn(job: AnyJob, files: Files) -> Complete:
    await job.spawn("child", NewJob(PLAIN, Part(trial=files.trial, role="child")))
    await job.wait_for_children()
    return _wrote(job)


_ACTS: dict[str, Callable[[AnyJob, Files], Awaitable[Outcome]]] = {
    "nothing": _nothing,
    "write": _only_write,
    "stand": _stand,
    "step": _step,
    "ask": _ask,
    "wait": _wait,
    "emit": _emit,
    "say": _say,
    "retry": _retry,
    "spawn": _spawn,
}
