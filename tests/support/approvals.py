"""What tests of approvals stand on: a worker without a process, whose agent makes one call that must be asked about."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from assistant import actions, agents, chat_history, chats
from assistant.action import Action
from assistant.approvals import Decider
from assistant.chats import CHAT_TURN
from handlers import chat_turn
from jobs_core import Connection, Database, HandlerTable, Jobs, execute
from jobs_core.claim import claim
from jobs_core.leases import register
from sessions import Allow, Ask, DeferredCall, ModelUnavailable, ToolCall, ToolEnd, TurnEnd, Verdict
from workers.executor import Executor

ANN = Decider("ann", "owner")
BOB = Decider("bob", "external")
COMMAND = {"command": "rm -r build"}
EDITED = {"command": "rm -r build/old"}
"""What the agent wants to do, and what it may."""


@dataclass
class CallingAgent:
    """Stands in for ClaudeSessions: makes one call, and goes on from where the call stands, as the CLI does.

    ran: the inputs with which its tool ran. dies: after how much of a call its run is lost: asked (before the tool), ran (after
    it, before anybody hears), ended (before the result is in the transcript). clis: how many the run starts, where they die.
    """

    call: ToolCall = field(default_factory=lambda: ToolCall("toolu_1", "Bash", COMMAND))
    ran: list[dict[str, Any]] = field(default_factory=list)
    told: list[Verdict] = field(default_factory=list)
    dies: str = ""
    clis: int = 1
    answered: bool = False
    fails: bool = False
    meanwhile: Callable[[], Awaitable[Any]] | None = None

    async def run_turn(self, *, agent: Any, **_: Any) -> TurnEnd:
        for _cli in range(1, self.clis):
            with suppress(ModelUnavailable):
                return await self._run_cli(agent)
        return await self._run_cli(agent)

    async def _run_cli(self, agent: Any) -> TurnEnd:
        if self.answered:
            return TurnEnd("Done.", None, "recorded")
        verdict = await agent.decide(self.call)
        self.told.append(verdict)
        self._die("asked")
        match verdict:
            case Ask():
                return TurnEnd("", None, "asked", DeferredCall(self.call.id, self.call.name, self.call.input))
            case Allow(changed):
                self.ran.append(self.call.input if changed is None else changed)
                self._die("ran")
                await agent.on_tool_end(self.call, ToolEnd(self.fails, "a digest"))
                self._die("ended")
        self.answered = True
        return TurnEnd("Done.", None, "resumed")

    def _die(self, where: str) -> None:
        if self.dies == where:
            self.dies = ""
            raise ModelUnavailable("the CLI died")


@dataclass
class Bench:
    """A worker without a process, whose agent makes a call that must be asked about."""

    jobs: Jobs
    agent: CallingAgent
    worker_id: int
    conn: Connection

    async def say(self, message: str, session_id: str | None = None, **who: Any) -> chats.Received:
        given = {"user_id": None, "session_id": session_id, "channel": "web", "message": message, **who}
        async with self.jobs.database.transaction() as own:
            return await chats.receive(own, self.jobs, **given)

    async def run(self) -> str | None:
        """Run and settle the next job that is ready, now or after a backoff; its state, None: nothing was written."""
        await execute(
            self.conn,
            "UPDATE jobs.jobs SET ready_seq = nextval('jobs.ready_seq') WHERE state = 'pending' AND ready_seq IS NULL",
        )
        (job,) = await claim(self.conn, worker_id=self.worker_id, queues=["chat"], job_types=[CHAT_TURN.name], slots=1)
        settled = await Executor(self.jobs, 1, on_stuck=pytest.fail).run(job)
        return settled.state if settled else None

    async def edit_agent(self, **changes: Any) -> None:
        """Change the agent that answers in all chats here."""
        async with self.jobs.database.transaction() as own:
            await agents.edit(own, agents.DEFAULT_AGENT, changes)

    async def asked(self, **who: Any) -> Action:
        """Say something that makes the agent call; its action, which waits."""
        await self.say("clean up", **who)
        assert await self.run() == "waiting"
        return await self.action()

    async def action(self) -> Action:
        (found,) = await actions.list_actions(self.conn, states=None)
        return found

    async def lines(self, session_id: str) -> list[tuple[str, str]]:
        return [(line.type, line.content) for line in await chat_history.newest(self.conn, session_id)]


@asynccontextmanager
async def bench_on(database: Database, conn: Connection) -> AsyncIterator[Bench]:
    """A bench on this database."""
    agent, table = CallingAgent(), HandlerTable()
    chat_turn.register(table, database=database, sessions=agent)  # type: ignore[arg-type]  # a stand-in for the agent
    worker_id = await register(conn, queues=["chat"], job_types=[CHAT_TURN.name], slots=1, lease_s=600)
    async with Jobs(database, table) as jobs:
        yield Bench(jobs, agent, worker_id, conn)
