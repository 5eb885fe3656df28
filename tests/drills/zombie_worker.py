"""Processes of the zombie drill: `python -m tests.drills.zombie_worker DSN FOLDER SLOTS FENCE ROLE`.

ROLE: `supervisor`, and under that one `worker`, which ignores its own deadline, though its guard does not, so that only the
fence stands. FENCE: `whole`, or `out`: no statement looks at tokens, epochs and leases. A run stands, with an agent, until it
is told that it woke, and then tries every write.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from uuid import uuid4

from jobs_core import AnyJob, HandlerTable, Jobs, fetch_one
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from sessions.records import create_session, take_session
from tests.drills.points_jobs import AGENT, LANED, LIMITED, PLAIN, Files
from tests.drills.zombie_writes import WRITES, Zombie, attempt
from tests.support.mutants import NO_FENCE_AT_ALL, mutated
from workers.guard_link import GuardLink
from workers.lease import Lease
from workers.settings import WorkerSettings
from workers.supervisor import Supervisor
from workers.worker import Worker, open_database

LEASE_S = 2.0
SETTINGS = {"lease_s": LEASE_S, "renew_s": 0.4, "upkeep_s": 0.5, "poll_s": 0.5, "drain_s": 1.0}
JUDGED = "judged"
"""While this file is not there, a lost lease has no consequences."""
TYPES = (PLAIN, LANED, LIMITED)
_NO_DEADLINE_S = 1e6


def ignore_deadline(folder: Path) -> None:
    """The guard is told the deadline; the worker itself has none, and hears of its loss when the drill has judged."""
    set_deadline, lose = Lease._set_deadline, Lease._lose

    def set_late(self: Lease, sent_at: float) -> None:
        set_deadline(self, sent_at)
        self._deadline += _NO_DEADLINE_S

    def lose_late(self: Lease, why: str) -> None:
        while not (folder / JUDGED).exists():
            time.sleep(0.02)
        lose(self, why)

    Lease._set_deadline = set_late  # type: ignore[method-assign]
    Lease._lose = lose_late  # type: ignore[method-assign]


def table(folder: Path | None = None, jobs: list[Jobs] | None = None) -> HandlerTable:
    """The types; with a folder, also their handlers, which use the first of `jobs`."""
    known = HandlerTable()
    known.declare_all(TYPES)

    async def handle(job: AnyJob) -> None:
        assert folder
        assert jobs
        zombie = await _zombie(jobs[0], job)
        agent = await asyncio.create_subprocess_exec(*AGENT)
        Files(folder, str(job.id)).tell("stands")
        await Files(folder, job.input.trial.split(".")[0]).until_told("woken")
        tried = {kind: await _result(zombie, kind) for kind in _from(job.id)}
        said = folder / f"{job.id}.said"
        said.write_text(json.dumps(tried))
        said.rename(folder / f"{job.id}.tried")
        await agent.wait()
        await asyncio.Event().wait()

    if folder:
        for job_type in TYPES:
            known.register_handler(job_type, handle)
    return known


async def _zombie(jobs: Jobs, job: AnyJob) -> Zombie:
    session_id = uuid4()
    async with jobs.database.transaction() as conn:
        await create_session(conn, session_id)
        epoch = await take_session(conn, session_id)
        row = await fetch_one(conn, "SELECT worker_id FROM jobs.jobs WHERE id = %(id)s", {"id": job.id})
    assert row
    return Zombie(jobs, job, row["worker_id"], session_id, epoch)


async def _result(zombie: Zombie, kind: str) -> str:
    try:
        return "accepted" if await attempt(zombie, kind) else "refused"
    except Exception as error:  # noqa: BLE001 - whatever it is, the drill is told
        return f"{type(error).__name__}: {error}"


def _from(n: int) -> list[str]:
    """All kinds, each run beginning with another."""
    kinds = list(WRITES)
    return kinds[n % len(kinds) :] + kinds[: n % len(kinds)]


async def work(dsn: str, folder: Path, slots: int) -> None:
    """Work until drained."""
    settings = WorkerSettings.read(**SETTINGS, slots=slots)
    core = CoreSettings.read(DATABASE_URL=dsn)
    both = list[Jobs]()
    async with open_database(core, settings, name="drill") as database, Jobs(database, table(folder, both)) as jobs:
        both.append(jobs)
        await Worker(jobs, queues=["default"], settings=settings, link=GuardLink.from_environment()).run_process()


def main(dsn: str, folder: str, slots: str, fence: str, role: str) -> int:
    """Be what the command line says."""
    set_up_logs(CoreSettings.read(log_format="json"))
    if role == "supervisor":
        command = [sys.executable, "-m", "tests.drills.zombie_worker", dsn, folder, slots, fence, "worker"]
        return Supervisor(command, processes=1, drain_s=SETTINGS["drain_s"]).run()
    ignore_deadline(Path(folder))
    with mutated(*(NO_FENCE_AT_ALL if fence == "out" else ())):
        asyncio.run(work(dsn, Path(folder), int(slots)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
