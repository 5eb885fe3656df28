"""An approval from its call to its end, with the real CLI under the chat's handler: each run in a worker of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assistant import actions, agents, approvals, chats
from assistant.action import Action
from assistant.approvals import Decider
from assistant.chats import CHAT_TURN, ChatTurnInput
from handlers.chat_turn import ChatTurns
from handlers.turns import Turns
from jobs_core import AnyJob, Connection, Database, HandlerTable, Jobs, LeaseLost, Snooze
from jobs_core.claim import claim
from jobs_core.leases import register
from jobs_core.settle import settle
from sessions.model_run import DATABASE_PAUSE
from simulator.client import SimulatorControl
from tests.support.sessions import agents as cli_agents

ANN = Decider("ann", "owner")


@dataclass
class Site:
    """A database, a simulator, and as many workers as runs: nothing but the database goes from one to the next."""

    jobs: Jobs
    sim: SimulatorControl
    folder: Path
    worker_id: int
    runs: int = 0

    async def say(self, words: str) -> None:
        async with self.jobs.database.transaction() as conn:
            await chats.receive(conn, self.jobs, session_id=None, channel="web", message=words, user_id=None)

    async def claim(self) -> AnyJob:
        async with self.jobs.database.connection() as conn:
            (job,) = await claim(conn, worker_id=self.worker_id, queues=["chat"], job_types=[CHAT_TURN.name], slots=1)
        job.input = ChatTurnInput.model_validate_json(job.input)
        return job

    async def run(self, job: AnyJob | None = None) -> str:
        """Run and settle a job, the next one unless it is given; the state it is in then."""
        job = job or await self.claim()
        self.runs += 1
        async with cli_agents(self.jobs.database, self.sim, self.folder / str(self.runs)) as sessions:
            outcome = await Turns(ChatTurns(), self.jobs.database, sessions, None).run(job)
        async with self.jobs.database.connection() as conn:
            return (await settle(conn, job, outcome, CHAT_TURN)).state

    async def lose(self, job: AnyJob) -> AnyJob:
        """Take a job from its run, as a rescue does; the claim of the next one."""
        async with self.jobs.database.connection() as conn:
            await settle(conn, job, Snooze(DATABASE_PAUSE * 0, because="drained"), CHAT_TURN)
        return await self.claim()

    async def action(self) -> Action:
        async with self.jobs.database.connection() as conn:
            return (await actions.list_actions(conn, states=None))[0]

    async def approve(self, **how: Any) -> None:
        action = await self.action()
        async with self.jobs.database.connection() as conn:
            await approvals.approve(conn, action.id, ANN, digest=action.digest, **how)

    async def last_request(self) -> str:
        return str((await self.sim.requests())[-1].body)


@pytest.fixture
async def site(database: Database, sim: SimulatorControl, tmp_path: Path) -> AsyncIterator[Site]:
    table = HandlerTable()
    table.declare(CHAT_TURN)
    async with Jobs(database, table) as jobs:
        async with database.connection() as conn:
            worker_id = await register(conn, queues=["chat"], job_types=[CHAT_TURN.name], slots=1, lease_s=3600)
        async with database.transaction() as conn:
            await agents.edit(conn, agents.DEFAULT_AGENT, {"tools": ["Bash"]})
        yield Site(jobs, sim, tmp_path, worker_id)


def bash(command: str) -> str:
    return f'[[tool Bash {{"command": "{command}"}}]] '


async def test_what_is_approved_runs_as_it_was_edited_and_what_is_rejected_does_not(site: Site, tmp_path: Path) -> None:
    """Two calls, one after the other, each decided while no process of the turn lives."""
    runs = tmp_path / "runs"
    await site.say(f"{bash(f'echo first >> {runs}')}[[then]] {bash(f'echo second >> {runs}')}[[then]] [[text Done.]]")
    assert await site.run() == "waiting"
    await site.approve(edited={"command": f"echo edited >> {runs}"})
    assert await site.run() == "waiting"
    assert runs.read_text() == "edited\n"
    action = await site.action()
    assert action.has_read["tools"] == {"Bash": 2}
    async with site.jobs.database.connection() as conn:
        await approvals.reject(conn, action.id, ANN, digest=action.digest, reason="once is enough")
        assert await site.run() == "complete"
        states = [(one.state, one.failed) for one in await actions.list_actions(conn, states=None)]
    assert states == [("rejected", None), ("executed", False)]
    assert runs.read_text() == "edited\n"
    assert "ann rejected this call: once is enough" in await site.last_request()


async def test_a_worker_that_dies_while_an_approved_tool_runs_leaves_it_unknown_and_nobody_runs_it_again(
    site: Site, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    await site.say(f"{bash(f'echo run >> {runs}; sleep 55')}[[then]] [[text Done.]]")
    assert await site.run() == "waiting"
    await site.approve()
    job = await site.claim()
    run = asyncio.create_task(site.run(job))
    async with asyncio.timeout(60):
        while not runs.exists():
            await asyncio.sleep(0.05)
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
    assert (await site.action()).state == "executing"
    assert await site.run(await site.lose(job)) == "complete"
    assert (await site.action()).state == "unknown"
    assert runs.read_text() == "run\n"
    assert "nobody knows whether it took effect" in await site.last_request()


async def test_of_two_resumes_at_once_one_runs_what_was_approved(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one's CLI already asks about the call when its job is lost: it learns that at the gate, and is killed."""
    runs = tmp_path / "runs"
    await site.say(f"{bash(f'echo run >> {runs}')}[[then]] [[text Done.]]")
    assert await site.run() == "waiting"
    await site.approve()
    stale, begin = await site.claim(), actions.begin_execution
    taken = asyncio.get_running_loop().create_future()

    async def lost_first(conn: Connection, job: AnyJob, action_id: int) -> Action | None:
        if job is stale:
            taken.set_result(await site.lose(stale))
        return await begin(conn, job, action_id)

    monkeypatch.setattr(actions, "begin_execution", lost_first)
    first = asyncio.create_task(site.run(stale))
    assert await site.run(await taken) == "complete"
    with pytest.raises(LeaseLost):
        await first
    assert runs.read_text() == "run\n"
    assert (await site.action()).state == "executed"
