"""For whom, and in what, a tool works."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel

from assistant.agents import DEFAULT_AGENT
from assistant.effects import once
from assistant.errors import AssistantError
from assistant.people import User
from jobs_core import AnyJob, Connection, Database, fence
from schedules import NameTaken, NoSuchSchedule
from sessions import ToolRefused, current_call


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run of a turn. chat: the chat session's id. workspace: the folder that its agent works in; None: it has none.

    agent: its name.
    """

    database: Database
    user: User
    chat: str
    turn_id: UUID
    job: AnyJob
    workspace: Path | None = None
    agent: str = DEFAULT_AGENT

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """A transaction of this run's; what the room refuses in it, the model is told.

        Raises LeaseLost where the run no longer holds its job: nothing is written then.
        """
        try:
            async with self.database.transaction() as conn:
                await fence(conn, self.job)
                yield conn
        except (AssistantError, NameTaken, NoSuchSchedule) as error:
            raise ToolRefused(str(error)) from None

    async def once(
        self, tool: str, given: BaseModel, effect: Callable[[Connection], Awaitable[str]], *, most: int
    ) -> str:
        """What `effect` says it did, once for this input in this turn (`effects.once`)."""
        async with self.writing() as conn:
            call, do = current_call(), lambda: effect(conn)
            return await once(conn, call, given, do, tool=tool, turn_id=self.turn_id, most=most)
