"""A worker whose one job type runs an agent with Bash: `python -m tests.support.agents.worker DSN SIMULATOR_URL FOLDER`.

With `alone` behind that, a runner of jobs whose run was lost. The agent is run once; whoever handles the job again completes
it, so that every later model call is a leftover's.
"""

import asyncio
import sys
from pathlib import Path
from uuid import UUID, uuid4

from pydantic import BaseModel

from jobs_core import Complete, Database, HandlerTable, Job, Jobs, JobType
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from sessions import AgentSetup, ClaudeSessions, begin_turn, create_session, take_session
from simulator.client import SimulatorControl
from tests.support.sessions import session_settings
from workers.alone import AloneRunner
from workers.guard_link import GuardLink
from workers.settings import WorkerSettings
from workers.worker import Worker

LEASE_S = 2.0


class Prompt(BaseModel):
    """What the agent is asked."""

    text: str


AGENT = JobType("agent", Prompt)


async def main(dsn: str, url: str, folder: Path, link: GuardLink | None, *, alone: bool) -> None:
    """Work until drained, or alone until there is nothing."""
    table = HandlerTable()
    async with Database(dsn, name="agents") as database, Jobs(database, table) as jobs:
        sessions = ClaudeSessions(database, session_settings(SimulatorControl(url, ""), folder))

        async def handle(job: Job[Prompt]) -> Complete:
            once = folder / f"ran-{job.id}"
            if once.exists():
                return Complete()
            once.touch()
            session_id, turn_id = uuid4(), uuid4()
            epoch = await _begin(database, session_id, turn_id, job.id)
            await sessions.run_turn(
                session_id=session_id,
                epoch=epoch,
                turn_id=turn_id,
                prompt=job.input.text,
                agent=AgentSetup("You are a test's agent.", tools=["Bash"], allowed_tools=["Bash"]),
            )
            return Complete()

        table.register_handler(AGENT, handle)
        settings = WorkerSettings.read(lease_s=LEASE_S, renew_s=0.3, upkeep_s=0.2, drain_s=0.5)
        worker = (AloneRunner if alone else Worker)(
            jobs, queues=["default"], settings=settings, resources=[sessions], link=link
        )
        await worker.run_process()


async def _begin(database: Database, session_id: UUID, turn_id: UUID, job_id: int) -> int:
    async with database.transaction() as conn:
        await create_session(conn, session_id)
        await begin_turn(conn, turn_id=turn_id, session_id=session_id, job_id=job_id)
        return await take_session(conn, session_id)


if __name__ == "__main__":
    guard = GuardLink.from_environment()
    set_up_logs(CoreSettings.read(log_format="json"))
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), guard, alone="alone" in sys.argv))
