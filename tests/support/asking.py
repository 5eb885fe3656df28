"""What tests of handlers that ask agents stand on: one that is bound as a worker binds it, and scripted agents."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field

from assistant.owner_alarms import TELL_OWNER
from jobs_core import AnyJob, Complete, Connection, Database, HandlerTable, Outcome, execute, fetch
from jobs_core.settle import settle
from sessions import AgentSetup, Asked, TurnEnd, ask_agent
from sessions.agent_handlers import heed_provider
from sessions.budgets import Scope
from tests.database.conftest import NextRun
from tests.support.job_types import NOTE

AGENT = AgentSetup("You sort mail.")
DAY = Scope("day")
VALUE = {"folder": "tax", "urgency": 2}


class Sorted(BaseModel):
    """Where a letter goes."""

    folder: str
    urgency: int = Field(ge=0, le=3)


@dataclass
class Sessions:
    """Stands in for ClaudeSessions: each turn comes to `end`, unless it raises."""

    end: TurnEnd = field(default_factory=lambda: TurnEnd("", None, "asked", structured=VALUE))
    raises: Exception | None = None
    meanwhile: Callable[[], Awaitable[Any]] | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def run_turn(self, **arguments: Any) -> TurnEnd:
        self.asked.append(arguments)
        if self.meanwhile:
            await self.meanwhile()
        if self.raises:
            raise self.raises
        return self.end


Ask = Callable[[], Coroutine[Any, Any, Asked[Sorted]]]
Handle = Callable[[AnyJob, Ask], Awaitable[Any]]


async def keep(job: AnyJob, ask: Ask) -> Outcome:
    """What a handler does that has nothing else to do."""
    return Complete({}, also=(await ask()).end)


async def run(
    job: AnyJob, database: Database, sessions: Sessions, handle: Handle = keep, *, heed: bool = True, **how: Any
) -> Outcome:
    """Run a job whose handler may ask, and settle it; returns its outcome. heed: as a worker binds it."""
    table = HandlerTable()
    stand_in: Any = sessions

    async def handler(job: AnyJob) -> Any:
        async def ask() -> Asked[Sorted]:
            return await ask_agent(job, "Where to?", Sorted, database=database, sessions=stand_in, agent=AGENT, **how)

        return await handle(job, ask)

    table.register_handler(NOTE, handler)
    if heed:
        heed_provider(table, NOTE.name, database=database, alarms=TELL_OWNER)
    called: Any = table.handler(NOTE.name)
    outcome: Outcome = await called(job)
    async with database.connection() as conn:
        await settle(conn, job, outcome, NOTE)
    return outcome


async def again(conn: Connection, next_run: NextRun) -> AnyJob:
    """The next run of the only job, however long it would wait and whatever is paused."""
    await execute(conn, "UPDATE jobs.jobs SET ready_seq = nextval('jobs.ready_seq') WHERE state = 'pending'")
    await execute(conn, "DELETE FROM jobs.pauses")
    return await next_run()


async def row(conn: Connection) -> tuple[str, int]:
    """The only job's state, and the retries that it has spent."""
    both = "SELECT state, retry_count FROM jobs.jobs UNION ALL SELECT state, retry_count FROM jobs.history"
    (found,) = await fetch(conn, both)
    return found["state"], found["retry_count"]
