"""Workers of the drills that hurt what lies around them: `python -m tests.drills.load_worker '{"dsn": …}'`.

    supervisor ─▶ `processes` workers, and an alone runner while there are suspects

Each runs the load until it is drained, and then says on stdout, as one line of JSON, how many connections its pool is for and
how many can still be had.
"""

import asyncio
import json
import random
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

from jobs_core import ConnectionFailed, Database, Jobs, execute
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from tests.drills.load import table
from workers.alone import AloneRunner
from workers.guard_link import GuardLink
from workers.settings import WorkerSettings
from workers.supervisor import Supervisor
from workers.worker import Worker, open_database


@dataclass(frozen=True, slots=True)
class Options:
    """What a worker is to be. `settings` are those of WorkerSettings; `work_s` the longest that a handler works."""

    dsn: str
    settings: Mapping[str, float]
    processes: int = 2
    connections: int = 8
    work_s: float = 0.02

    def command(self, role: str = "supervisor") -> list[str]:
        """How to start it: as the supervisor, or as one worker or alone runner below it."""
        return [sys.executable, "-m", "tests.drills.load_worker", json.dumps(asdict(self)), role]


async def run_worker(options: Options, kind: type[Worker | AloneRunner]) -> None:
    """Work until drained, then look at the pool."""
    link = GuardLink.from_environment()

    async def work() -> None:
        await asyncio.sleep(random.uniform(0.0, options.work_s))

    settings = WorkerSettings.read(**options.settings)
    core = CoreSettings.read(DATABASE_URL=options.dsn, database_connections=options.connections)
    async with open_database(core, settings, name="drill worker") as database, Jobs(database, table(work)) as jobs:
        await kind(jobs, queues=["default"], settings=settings, link=link).run_process()
        print(json.dumps({"connections": options.connections, "usable": await usable(database, options.connections)}))


async def usable(database: Database, connections: int) -> int:
    """How many connections the pool gives out at once; fewer than it is made for where some were never given back.

    One that was cut while nobody used it fails once, and another takes its place.
    """
    async with AsyncExitStack() as held:
        got, failed = 0, 0
        while got < connections and failed < connections:
            async with AsyncExitStack() as attempt:
                try:
                    conn = await attempt.enter_async_context(database.connection())
                    await execute(conn, "SELECT 1")
                except ConnectionFailed:
                    failed += 1
                    continue
                held.push_async_exit(attempt.pop_all())
                got += 1
        return got


def main(options: Options, role: str) -> int:
    """Run one worker or alone runner, or the supervisor of them."""
    set_up_logs(CoreSettings.read(log_format="json"))
    if role != "supervisor":
        asyncio.run(run_worker(options, Worker if role == "worker" else AloneRunner))
        return 0
    return Supervisor(
        options.command("worker"),
        processes=options.processes,
        alone_command=options.command("alone"),
        alone_processes=1,
        drain_s=options.settings["drain_s"],
    ).run()


if __name__ == "__main__":
    sys.exit(main(Options(**json.loads(sys.argv[1])), sys.argv[2]))
