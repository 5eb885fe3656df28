"""Processes of the points drill: `python -m tests.drills.points_worker '{"dsn": …, "folder": …}' ROLE`.

ROLE: `supervisor`, and under that `worker` and `alone`; `producer`: for each line on stdin, the name of a trial, it creates
that trial's job in a transaction of its own, again until that is acknowledged, and says the id.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jobs_core import Database, Jobs, db, settle, steps
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from tests.drills.points_jobs import LANED, Part, table
from workers import supervised
from workers.alone import AloneRunner
from workers.guard_link import GuardLink
from workers.settings import WorkerSettings
from workers.supervisor import Supervisor
from workers.worker import Worker, open_database

SETTINGS = {"renew_s": 0.4, "upkeep_s": 0.3, "poll_s": 0.5, "drain_s": 0.5, "slots": 4}
PROCESSES = 2
_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Options:
    """mutant: a name of MUTANTS, taken out of the workers' code."""

    dsn: str
    folder: str
    lease_s: float
    mutant: str = ""

    def command(self, role: str = "supervisor") -> list[str]:
        """How to start it."""
        return [sys.executable, "-m", "tests.drills.points_worker", json.dumps(asdict(self)), role]


async def _unfenced(*_: object) -> None:
    """No look at the token."""


MUTANTS: Mapping[str, Callable[[], None]] = {
    "": lambda: None,
    "split_settle": lambda: setattr(settle, "_transaction", lambda *_, **__: nullcontext()),
    "unfenced_steps": lambda: setattr(steps, "fence", _unfenced),
}
"""What may be taken out, to see the drill break: the one transaction that a job's end and all that it brings about are; the
fence of steps."""


async def work(options: Options, kind: type[Worker | AloneRunner]) -> None:
    """Work until drained, or alone until there is nothing."""
    settings = WorkerSettings.read(**SETTINGS, lease_s=options.lease_s)
    core = CoreSettings.read(DATABASE_URL=options.dsn)
    link = GuardLink.from_environment()
    known = table(Path(options.folder))
    async with open_database(core, settings, name="drill worker") as database, Jobs(database, known) as jobs:
        await kind(jobs, queues=["default"], settings=settings, link=link).run_process()


async def produce(options: Options) -> None:
    """Create what stdin names."""
    async with Database(options.dsn, name="drill producer") as database, Jobs(database, table()) as jobs:
        while name := (await asyncio.to_thread(sys.stdin.readline)).strip():
            print(await _until_acknowledged(jobs, name), flush=True)


async def _until_acknowledged(jobs: Jobs, trial: str) -> int:
    while True:
        try:
            async with jobs.database.transaction() as conn:
                created = await jobs.create(LANED, Part(trial=trial), idempotency_key=trial, conn=conn)
        except Exception as error:
            if not db.will_pass(error):
                raise
            await asyncio.sleep(_AGAIN_S)
        else:
            created.wake()
            return created.id


def supervise(options: Options) -> int:
    """Two workers under guard, each replaced at once, and whatever runs alone."""
    vars(supervised)["_LONG_LIFE_S"] = 0.0  # a drill kills faster than a crash loop may go round
    return Supervisor(
        options.command("worker"),
        processes=PROCESSES,
        alone_command=options.command("alone"),
        alone_processes=1,
        drain_s=SETTINGS["drain_s"],
    ).run()


def main(options: Options, role: str) -> int:
    """Be what the command line says."""
    set_up_logs(CoreSettings.read(log_format="json"))
    MUTANTS[options.mutant]()
    if role == "supervisor":
        return supervise(options)
    run: Any = produce(options) if role == "producer" else work(options, Worker if role == "worker" else AloneRunner)
    asyncio.run(run)
    return 0


if __name__ == "__main__":
    sys.exit(main(Options(**json.loads(sys.argv[1])), sys.argv[2]))
