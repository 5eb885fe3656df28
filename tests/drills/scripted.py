"""Workers of this process whose agents are scripted: chats' turns by the real handler, with no CLI and no model behind it.

A hundred CLIs are too many for two cores. What is real: claims, the handler, budgets, the provider's state, settles.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from assistant import chats
from assistant.chats import CHAT_TURN
from assistant.deliveries import DELIVER
from handlers import chat_turn
from jobs_core import Database, HandlerTable, Jobs
from sessions import TurnEnd
from workers.settings import WorkerSettings
from workers.worker import Worker

Answer = Callable[..., Awaitable[str]]
"""Given what `run_turn` is asked with, the agent's answer; it raises what a run of a turn may raise."""

_PATIENCE_S = 60.0


class Scripted:
    """Stands in for ClaudeSessions."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def run_turn(self, **asked: Any) -> TurnEnd:
        """As ClaudeSessions.run_turn."""
        return TurnEnd(await self._answer(**asked), None, "asked")


@asynccontextmanager
async def fleet(
    dsn: str, agents: Any, *, workers: int, slots: int, resources: Callable[[Database], list[Any]] = lambda _: []
) -> AsyncIterator[Jobs]:
    """So many workers, each with a pool of its own; drained at the end. Yields what creates their jobs.

    agents: what the handler runs turns with; a function of its database makes it. resources: besides, of each worker.
    """
    settings = WorkerSettings.read(slots=slots, lease_s=5.0, renew_s=1.0, upkeep_s=0.5, poll_s=2.0, drain_s=5.0)
    async with AsyncExitStack() as stack:
        made, tasks, creator = list[Worker](), list[asyncio.Task[None]](), None
        for number in range(workers):
            database = await stack.enter_async_context(Database(dsn, name=f"agents {number}", max_connections=6))
            table = HandlerTable()
            table.declare(DELIVER)  # whoever rescues a job of this type has to know that it is suspected of nothing
            jobs = await stack.enter_async_context(Jobs(database, table))
            sessions = agents(database) if callable(agents) else agents
            chat_turn.register(table, database=database, sessions=sessions, wake=jobs.notifier.wake)
            own = [*([sessions] if callable(agents) else []), *resources(database)]
            made.append(Worker(jobs, queues=[CHAT_TURN.queue], settings=settings, resources=own))
            tasks.append(asyncio.create_task(made[-1].run()))
            creator = creator or jobs
        assert creator is not None
        try:
            yield creator
        finally:
            for worker in made:
                worker.drain()
            await asyncio.wait(tasks, timeout=_PATIENCE_S)
        for task in tasks:
            task.result()


async def say(jobs: Jobs, message: str, *, user_id: str | None = None) -> int:
    """Begin a chat with this message; returns its job."""
    async with jobs.database.transaction() as conn:
        said = await chats.receive(conn, jobs, session_id=None, channel="web", message=message, user_id=user_id)
    said.wake()
    return said.job_id
