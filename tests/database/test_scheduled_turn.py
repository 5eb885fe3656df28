"""The scheduled_turn handler in a worker's executor, on a real Postgres; what lies outside, the agent, is scripted."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from assistant import actions, chat_history, people
from assistant.execution_results import Result, expected_cost, list_results
from assistant.notifications import Notification, list_notifications
from assistant.scheduled_turns import SCHEDULED_TURN, ScheduledTurnInput
from assistant.stopping import reset_all
from handlers import scheduled_turn
from jobs_core import AnyJob, Connection, Database, HandlerTable, Jobs, Snooze, execute, fetch
from jobs_core.claim import claim
from jobs_core.leases import register
from jobs_core.settle import settle
from schedules import Tick
from sessions import AgentBroke, DeferredCall, Deny, TurnFailed
from sessions.budgets import Scope
from sessions.caps import raise_cap, set_cap
from tests.database.test_chat_turn import Executor, ScriptedAgent

DUE = datetime(2030, 3, 4, 9, 0, tzinfo=UTC)
CHAT = "scheduled_assistant_20300304T090000Z_7"
TICK = Tick(schedule_id=7, name="morning", slot="2030-03-04T10:00", due_at=DUE)


@dataclass
class Bench:
    """A worker without a process: creates, claims and runs scheduled turns."""

    jobs: Jobs
    agent: ScriptedAgent
    worker_id: int
    conn: Connection

    async def tick(self, user_id: str | None = None, **given: Any) -> int:
        """The job of a tick."""
        whole = ScheduledTurnInput(**{"prompt": "What is new?", "tick": TICK, **given})
        return (await self.jobs.create(SCHEDULED_TURN, whole, user_id=user_id)).id

    async def claim(self) -> AnyJob:
        await execute(self.conn, "UPDATE jobs.jobs SET ready_seq = nextval('jobs.ready_seq') WHERE state = 'pending'")
        (job,) = await claim(
            self.conn, worker_id=self.worker_id, queues=["chat"], job_types=["scheduled_turn"], slots=1
        )
        return job

    async def run(self) -> str | None:
        """Claim the next job, however long it would wait, run and settle it; returns its state."""
        settled = await Executor(self.jobs, 1, on_stuck=pytest.fail).run(await self.claim())
        return settled.state if settled else None

    async def result(self) -> Result:
        (result,) = await list_results(self.conn)
        return result

    async def told(self) -> list[Notification]:
        return [one for one in await list_notifications(self.conn) if one.category == "schedule"]

    async def lines(self) -> list[tuple[str, str]]:
        return [(line.type, line.content) for line in await chat_history.newest(self.conn, CHAT)]


@pytest.fixture
async def bench(database: Database, conn: Connection) -> Any:
    agent, table = ScriptedAgent(), HandlerTable()
    scheduled_turn.register(table, database=database, sessions=agent)  # type: ignore[arg-type]  # a stand-in for the agent
    worker_id = await register(conn, queues=["chat"], job_types=[SCHEDULED_TURN.name], slots=1, lease_s=600)
    async with Jobs(database, table) as jobs:
        yield Bench(jobs, agent, worker_id, conn)


async def is_active(conn: Connection) -> bool:
    (row,) = await fetch(conn, "SELECT is_active, channel FROM jobs.chat_sessions WHERE session_id LIKE 'scheduled%'")
    assert row["channel"] == "scheduled"
    return bool(row["is_active"])


async def test_a_tick_is_a_chat_a_turn_a_result_and_a_notification(bench: Bench, conn: Connection) -> None:
    job_id = await bench.tick()
    assert await bench.run() == "complete"
    assert await bench.lines() == [("human", "What is new?"), ("ai", "Hi.")]
    result = await bench.result()
    owner = await people.owner(conn)
    assert (result.schedule_id, result.schedule_name, result.agent_name, result.user_id) == (
        7,
        "morning",
        "assistant",
        owner.id,
    )
    assert (result.session_id, result.job_id, result.due_at) == (CHAT, job_id, DUE)
    assert (result.status, result.result_content, result.turn_id) == (
        "complete",
        "Hi.",
        bench.agent.asked[0]["turn_id"],
    )
    (told,) = await bench.told()
    assert (told.user_id, told.title, told.body, told.severity) == (owner.id, "Schedule morning is done", "Hi.", "info")
    assert not await is_active(conn)
    assert await fetch(conn, "SELECT FROM jobs.deliveries WHERE channel = 'scheduled'") == []


async def test_a_run_that_was_cut_off_is_gone_on_with_in_the_same_chat_and_turn(bench: Bench, conn: Connection) -> None:
    await bench.tick()
    bench.agent.raises = AgentBroke("killed")
    assert await bench.run() == "pending"
    assert (await bench.result()).status == "running"
    assert await is_active(conn)
    bench.agent.raises = None
    lost = await bench.claim()  # a worker that dies before it wrote anything
    await settle(conn, lost, Snooze(timedelta(0), because="drained"), SCHEDULED_TURN)
    assert await bench.run() == "complete"
    first, last = bench.agent.asked
    assert (first["turn_id"], first["session_id"]) == (last["turn_id"], last["session_id"])
    assert await bench.lines() == [("human", "What is new?"), ("ai", "Hi.")]
    assert len(await bench.told()) == 1


async def test_a_turn_that_fails_for_good_is_told_as_an_error(bench: Bench, conn: Connection) -> None:
    await bench.tick()
    bench.agent.raises = TurnFailed("too long")
    assert await bench.run() == "failed"
    result = await bench.result()
    assert (result.status, result.result_content) == ("failed", "too long")
    (told,) = await bench.told()
    assert (told.title, told.severity) == ("Schedule morning failed", "error")
    assert not await is_active(conn)


async def test_what_cannot_be_settled_leaves_nothing_written(bench: Bench, conn: Connection) -> None:
    """Answer, result, notification, chat and job are one fact: without the last of them there is none."""
    await bench.tick()
    await execute(conn, "ALTER TABLE jobs.notifications ADD CONSTRAINT no CHECK (category <> 'schedule')")
    assert await bench.run() == "pending"
    assert await bench.lines() == [("human", "What is new?")]
    assert (await bench.result()).status == "running"
    await execute(conn, "ALTER TABLE jobs.notifications DROP CONSTRAINT no")
    assert await bench.run() == "complete"
    assert len(await bench.told()) == 1


@pytest.mark.parametrize("who", ["no agent", "no owner", "nobody"])
async def test_what_may_not_run_fails_at_once_and_the_owner_is_told(bench: Bench, conn: Connection, who: str) -> None:
    owner = await people.owner(conn)
    eve = await people.contact(conn, "telegram", "5", name="Eve")
    await bench.tick(
        {"no agent": owner.id, "no owner": eve.id, "nobody": "u_gone"}[who],
        **({"agent": "removed"} if who == "no agent" else {}),
    )
    assert await bench.run() == "failed"
    assert bench.agent.asked == []
    reason = {
        "no agent": "There is no agent 'removed'",
        "no owner": "is no owner",
        "nobody": "There is no user 'u_gone'",
    }
    result = await bench.result()
    assert result.status == "failed"
    assert reason[who] in (result.result_content or "")
    (told,) = await bench.told()
    assert told.user_id in {owner.id, None}
    assert not await is_active(conn)


@pytest.mark.parametrize("policy", ["reject", "ask", "wait"])
async def test_a_call_that_needs_approval_becomes_what_the_schedule_says(
    bench: Bench, conn: Connection, policy: str
) -> None:
    await bench.tick(approvals=policy)
    assert await bench.run() == "complete"
    keeper = bench.agent.asked[0]["agent"].decide.__self__
    verdict = await keeper.decide(call := actions.ToolCall("t1", "Bash", {"command": "ls"}))
    if policy == "reject":
        assert isinstance(verdict, Deny)
        assert "nobody is there" in verdict.reason
        return
    assert not isinstance(verdict, Deny)
    wait = await keeper.ask(DeferredCall(call.id, call.name, call.input))
    async with bench.jobs.database.transaction() as own:
        await wait.also(own)
    (action,) = await actions.list_actions(conn, states=None)
    assert action.session_id == CHAT
    told = [one for one in await list_notifications(conn) if one.category == "approval"]
    assert len(told) == (policy == "ask")


async def test_a_turn_that_has_no_money_waits_in_its_chat_which_says_so(bench: Bench, conn: Connection) -> None:
    """The run's first transaction, in which its chat was made, is rolled back then."""
    day = Scope("day")
    await set_cap(conn, day, Decimal(0), set_by="a test")
    await bench.tick()
    assert await bench.run() == "waiting"
    assert [kind for kind, _ in await bench.lines()] == ["human", "system"]
    assert (await bench.result()).status == "waiting"
    await raise_cap(conn, day, Decimal(5), set_by="a test")
    assert await bench.run() == "complete"
    assert [kind for kind, _ in await bench.lines()] == ["human", "system", "ai"]


async def test_what_its_job_left_is_ended_by_the_next_tick_or_whoever_looks(bench: Bench, conn: Connection) -> None:
    await bench.tick()
    bench.agent.raises = AgentBroke("killed")
    assert await bench.run() == "pending"
    job_id = (await bench.result()).job_id
    await bench.jobs.cancel(job_id, reason="enough")

    async def look() -> None:
        async with bench.jobs.database.connection() as own:
            await list_results(own)

    await asyncio.gather(*(look() for _ in range(5)))
    result = await bench.result()
    assert (result.status, result.job_id) == ("cancelled", job_id)
    (told,) = await bench.told()
    assert (told.title, told.severity) == ("Schedule morning was called off", "warning")
    assert not await is_active(conn)


async def test_a_redrive_says_it_anew_in_the_same_chat_with_a_result_of_its_own(bench: Bench, conn: Connection) -> None:
    await bench.tick()
    bench.agent.raises = TurnFailed("no")
    assert await bench.run() == "failed"
    bench.agent.raises = None
    await bench.tick()
    assert await bench.run() == "complete"
    newest, oldest = await list_results(conn, schedule_id=7)
    assert (newest.status, oldest.status, newest.session_id) == ("complete", "failed", oldest.session_id)
    assert [kind for kind, _ in await bench.lines()] == ["human", "system", "human", "ai"]


async def test_a_cost_is_expected_by_what_the_schedule_cost_else_its_agent(bench: Bench, conn: Connection) -> None:
    await bench.tick()
    await bench.run()
    assert await expected_cost(conn, schedule_id=7, agent="assistant") is None
    await execute(
        conn,
        "INSERT INTO jobs.usage (turn_id, token, model, session_id, cost_usd, guessed_price) "
        "SELECT id, 1, 'm', session_id, 0.25, false FROM jobs.turns",
    )
    for schedule_id, of in ((7, "schedule"), (8, "agent"), (None, "agent")):
        cost = await expected_cost(conn, schedule_id=schedule_id, agent="assistant")
        assert cost is not None
        assert (cost.usd, cost.turns, cost.of) == (0.25, 1, of)
    assert await expected_cost(conn, schedule_id=8, agent="other") is None


async def test_a_reset_of_all_chats_leaves_the_closed_ones_of_schedules_alone(bench: Bench, conn: Connection) -> None:
    await bench.tick()
    await bench.run()
    before = await bench.lines()
    assert await reset_all(bench.jobs.database, bench.jobs, (await people.owner(conn)).id) == []
    assert await bench.lines() == before
