"""A handler of somebody's own that asks an agent, in a worker's executor, through the real CLI."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel

from assistant.owner_alarms import TELL_OWNER
from jobs_core import Complete, Connection, Database, HandlerTable, Job, Jobs, JobType, Outcome, execute, fetch
from jobs_core.claim import claim
from jobs_core.leases import register
from jobs_core.look import find
from sessions import AgentSetup, ask_agent
from sessions.agent_handlers import heed_provider
from sessions.budgets import Scope
from sessions.caps import set_cap
from sessions.provider import look
from simulator.client import SimulatorControl
from tests.support.budgets import account
from tests.support.sessions import agents, said
from workers.executor import Executor


class Wall(BaseModel):
    """What is asked about."""

    number: int


class Painted(BaseModel):
    """What comes back."""

    colour: str


PAINT = JobType("paint", Wall, Painted, timeout=timedelta(minutes=5))
PROMPT = '[[tool StructuredOutput {"colour": "green"}]]'


async def run_next(conn: Connection, jobs: Jobs, worker_id: int) -> str | None:
    """Claim the only job, whatever is paused, run and settle it."""
    await execute(conn, "DELETE FROM jobs.pauses")
    (job,) = await claim(conn, worker_id=worker_id, queues=["default"], job_types=[PAINT.name], slots=1)
    settled = await Executor(jobs, 1, on_stuck=lambda: None).run(job)
    return settled.state if settled else None


async def test_a_limited_provider_costs_a_handler_no_retry_no_step_and_no_second_prompt(
    database: Database, sim: SimulatorControl, tmp_path: Path
) -> None:
    table, looked = HandlerTable(), list[int]()
    await sim.script("[[error 429 x-should-retry=false]]")
    async with (
        agents(database, sim, tmp_path) as sessions,
        Jobs(database, table) as jobs,
        database.connection() as conn,
    ):

        async def paint(job: Job[Wall]) -> Outcome:
            await job.step("look", lambda: looked.append(job.input.number))
            agent = AgentSetup("You paint walls.")
            asked = await ask_agent(job, PROMPT, Painted, database=database, sessions=sessions, agent=agent)
            return Complete(asked.value, also=asked.end)

        table.register_handler(PAINT, paint)
        heed_provider(table, PAINT.name, database=database, alarms=TELL_OWNER)
        await set_cap(conn, Scope("day"), Decimal(10), set_by="a test")
        worker_id = await register(conn, queues=["default"], job_types=[PAINT.name], slots=1, lease_s=600)
        job_id = (await jobs.create(PAINT, {"number": 7})).id
        assert await run_next(conn, jobs, worker_id) == "pending"
        assert (await look(conn)).state == "paused"
        await sim.reset()
        await execute(conn, "UPDATE jobs.provider SET until = clock_timestamp() - interval '10 s'")
        assert await run_next(conn, jobs, worker_id) == "complete"
        ended = await find(conn, job_id)
        assert ended
        assert (ended.result, ended.retry_count, looked) == ({"colour": "green"}, 0, [7])
        assert (await look(conn)).state == "open"
        (spent,) = await fetch(conn, "SELECT sum(cost_usd) AS usd FROM jobs.usage")
        assert spent["usd"] > 0
        assert await account(conn, "day") == (spent["usd"], 0)
    for request in await sim.requests():
        assert [text.rstrip("\n") for text in said(request.body, "user")].count(PROMPT) == 1
