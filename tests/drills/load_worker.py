"""Workers of the drills that hurt what lies around them: `python -m tests.drills.load_worker '{"dsn": …}'`.

With `processes` it is a supervisor of so many, as in life; without, one worker. A worker runs the load until it is drained,
and then says on stdout, as one line of JSON, how many connections its pool is for and how many can still be had.
"""

import asyncio
import json
import random
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace

from jobs_core import ConnectionFailed, Database, Jobs
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from tests.drills.load import table
from workers.guard_link import GuardLink
from workers.settings import WorkerSettings
from workers.supervisor import Supervisor
from workers.worker import Worker, open_database


@dataclass(frozen=True, slots=True)
class Options:
    """What a worker is to be. `settings` are those of WorkerSettings; `work_s` the longest that a handler works."""

    dsn: str
    settings: Mapping[str, float]
    processes: int = 0
    connections: int = 8
    work_s: float = 0.02
    queues: list[str] = field(default_factory=lambda: ["default"])

    def command(self) -> list[str]:
        """How to start it."""
        return [sys.executable, "-m", "tests.drills.load_worker", json.dumps(asdict(self))]


async def run_worker(options: Options) -> None:
    """Work until drained, then look at the pool."""
    link = GuardLink.from_environment()

    async def work() -> None:
        await asyncio.sleep(random.uniform(0.0, options.work_s))

    settings = WorkerSettings.read(**options.settings)
    core = CoreSettings.read(DATABASE_URL=options.dsn, database_connections=options.connections)
    async with open_database(core, settings, name="drill worker") as database, Jobs(database, table(work)) as jobs:
        await Worker(jobs, queues=options.queues, settings=settings, link=link).run_process()
        print(json.dumps({"connections": options.connections, "usable": await usable(database, options.connections)}))


async def usable(database: Database, connections: int) -> int:
    """How many connections the pool gives out at once; fewer than it is made for where some were never given back."""
    async with AsyncExitStack() as held:
        for number in range(connections):
            try:
                conn = await held.enter_async_context(database.connection())
                await conn.execute("SELECT 1")
            except ConnectionFailed:
                return number
        return connections


def main(options: Options) -> int:
    """Run one worker, or the supervisor of several."""
    set_up_logs(CoreSettings.read(log_format="json"))
    if not options.processes:
        asyncio.run(run_worker(options))
        return 0
    one = replace(options, processes=0)
    return Supervisor(one.command(), processes=options.processes, drain_s=options.settings.get("drain_s", 30.0)).run()


if __name__ == "__main__":
    sys.exit(main(Options(**json.loads(sys.argv[1]))))
