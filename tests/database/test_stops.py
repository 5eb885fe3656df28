"""Stop and reset on a real Postgres: from their commit on, nothing that was said before gets an answer."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any
from uuid import UUID, uuid4

import pytest

from assistant import chat_history, chats, stopping
from assistant.chats import CHAT_TURN
from assistant.errors import NoSuchChat
from handlers.chat_turn import ChatTurns
from handlers.turns import Turns
from jobs_core import Connection, Database, Jobs, fetch
from jobs_core.claim import claim
from jobs_core.leases import register
from sessions import AgentBroke, begin_turn
from tests.database.test_chat_turn import ScriptedAgent
from tests.support.database import until_blocked
from tests.support.mutants import mutated
from tests.support.worker import ended, until, view_of, working
from workers.cancels import deal_with_cancels
from workers.executor import Executor

STOPPED, BEFORE, ANEW = stopping.STOPPED, stopping.STOPPED_BEFORE, stopping.ANEW


@asynccontextmanager
async def answering(database: Database, agent: ScriptedAgent, **settings: float) -> AsyncIterator[Jobs]:
    """A worker whose turns are this agent's."""
    turns: Any = Turns(ChatTurns(), database, agent, None)  # type: ignore[arg-type]  # a stand-in for the agent
    async with working(database, {CHAT_TURN: turns.run}, **settings) as (jobs, _):
        yield jobs


async def say(jobs: Jobs, message: str, session_id: str | None = None, user_id: str | None = None) -> chats.Received:
    async with jobs.database.transaction() as conn:
        received = await chats.receive(
            conn, jobs, session_id=session_id, channel="web", message=message, user_id=user_id
        )
    received.wake()
    return received


async def lines(conn: Connection, chat: str) -> list[tuple[str, str]]:
    return [(line.type, line.content) for line in await chat_history.newest(conn, chat)]


async def session_of(conn: Connection, chat: str) -> UUID:
    return await chats.claude_session_of(conn, chat)


def stuck() -> ScriptedAgent:
    """An agent that works until it is stopped."""
    return ScriptedAgent(meanwhile=asyncio.Event().wait)


async def asked(agent: ScriptedAgent) -> bool:
    return bool(agent.asked)


async def test_what_runs_and_what_waits_is_stopped_and_the_chat_says_so_at_once(
    database: Database, conn: Connection
) -> None:
    """Upkeep, which would find the request, is 30 s away: the hint does it."""
    agent = stuck()
    async with answering(database, agent, upkeep_s=30.0, lease_s=60.0) as jobs:
        first = await say(jobs, "one")
        await until(lambda: asked(agent))
        second = await say(jobs, "two", first.session_id)
        stopped = await stopping.stop(database, jobs, first.session_id)
        assert (stopped.turns, list(stopped.job_ids)) == (2, [first.job_id])
        assert await lines(conn, first.session_id) == [
            ("human", "one"),
            ("human", "two"),
            ("system", STOPPED),
            ("system", BEFORE),
        ]
        assert {line.state for line in await chat_history.newest(conn, first.session_id)} == {"failed", None}
        assert (await ended(database, first.job_id, within_s=3)).state == "cancelled"
        assert (await ended(database, second.job_id, within_s=3)).result == {"status": "nothing_to_do", "turn_id": None}
        agent.meanwhile = None
        third = await say(jobs, "three", first.session_id)
        assert (await ended(database, third.job_id)).state == "complete"
    one, three = agent.asked
    assert (three["prompt"], three["session_id"]) == ("three", one["session_id"])
    assert (await lines(conn, first.session_id))[4:] == [("human", "three"), ("ai", "Hi.")]


async def test_a_stop_of_nothing_says_so_and_changes_nothing(database: Database, conn: Connection) -> None:
    async with answering(database, ScriptedAgent()) as jobs:
        received = await say(jobs, "hello")
        await ended(database, received.job_id)
        assert (await stopping.stop(database, jobs, received.session_id)).turns == 0
        assert await lines(conn, received.session_id) == [("human", "hello"), ("ai", "Hi.")]
        for verb in (stopping.stop, stopping.reset):
            with pytest.raises(NoSuchChat):
                await verb(database, jobs, "web_unknown")


async def test_a_turn_that_waits_for_its_retry_is_ended_with_its_job(database: Database, conn: Connection) -> None:
    agent = ScriptedAgent(raises=AgentBroke("The CLI broke twice"))
    async with answering(database, agent) as jobs:
        received = await say(jobs, "hello")
        await until(lambda: is_retried(database, received.job_id))
        await stopping.stop(database, jobs, received.session_id)
        assert (await view_of(database, received.job_id)).state == "cancelled"
    assert await lines(conn, received.session_id) == [("human", "hello"), ("system", STOPPED)]


async def is_retried(database: Database, job_id: int) -> bool:
    return (await view_of(database, job_id)).retry_count == 1


async def test_a_reset_chat_goes_on_in_a_session_that_knows_nothing(database: Database, conn: Connection) -> None:
    agent = stuck()
    async with answering(database, agent) as jobs:
        first = await say(jobs, "one")
        await until(lambda: asked(agent))
        before = await session_of(conn, first.session_id)
        assert (await stopping.reset(database, jobs, first.session_id)).turns == 1
        agent.meanwhile = None
        second = await say(jobs, "two", first.session_id)
        await ended(database, second.job_id)
        after = await session_of(conn, first.session_id)
    assert [one["session_id"] for one in agent.asked] == [before, after]
    assert before != after
    assert await lines(conn, first.session_id) == [
        ("human", "one"),
        ("system", STOPPED),
        ("system", ANEW),
        ("human", "two"),
        ("ai", "Hi."),
    ]


async def test_all_chats_of_a_user_are_reset_and_nobody_elses(
    jobs: Jobs, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "_PAGE", 2)
    ada = [(await say(jobs, "x", user_id="ada")).session_id for _ in range(5)]
    bob = (await say(jobs, "x", user_id="bob")).session_id
    before = {chat: await session_of(conn, chat) for chat in (*ada, bob)}
    done = await stopping.reset_all(jobs.database, jobs, "ada")
    assert sorted(one.session_id for one in done) == sorted(ada)
    changed = {chat for chat in before if before[chat] != await session_of(conn, chat)}
    assert changed == set(ada)
    assert await stopping.reset_all(jobs.database, jobs, "eve") == []


@pytest.mark.parametrize("looks", [True, False])
async def test_the_run_of_a_turn_that_was_stopped_asks_nobody(
    jobs: Jobs,
    database: Database,
    conn: Connection,
    looks: bool,  # noqa: FBT001 - the mutant
) -> None:
    """Its worker died with the request unseen, and another one claims the job before upkeep looks."""
    agent = ScriptedAgent()
    jobs.table.register_handler(CHAT_TURN, Turns(ChatTurns(), database, agent, None).run)  # type: ignore[arg-type]  # a stand-in
    received = await say(jobs, "hello")
    worker_id = await register(conn, queues=["chat"], job_types=[CHAT_TURN.name], slots=1, lease_s=600)
    (job,) = await claim(conn, worker_id=worker_id, queues=["chat"], job_types=[CHAT_TURN.name], slots=1)
    async with conn.transaction():
        await chats.bind(conn, received.session_id, turn := uuid4())
        session_id = await session_of(conn, received.session_id)
        await begin_turn(conn, turn_id=turn, session_id=session_id, job_id=job.id)
    await stopping.stop(database, jobs, received.session_id)
    if looks:
        await Executor(jobs, 1, on_stuck=pytest.fail).run(job)
        assert agent.asked == []
    else:
        with mutated((" AND ended_at IS NULL\nORDER BY id", "\nORDER BY id")):
            await Executor(jobs, 1, on_stuck=pytest.fail).run(job)
        assert len(agent.asked) == 1


async def test_a_run_that_comes_to_its_end_as_its_chat_is_stopped_writes_nothing(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    """It was not told in time. Its job is put back, and then ended by the request."""
    agent = ScriptedAgent()
    jobs.table.register_handler(CHAT_TURN, Turns(ChatTurns(), database, agent, None).run)  # type: ignore[arg-type]  # a stand-in
    received = await say(jobs, "hello")
    worker_id = await register(conn, queues=["chat"], job_types=[CHAT_TURN.name], slots=1, lease_s=600)
    (job,) = await claim(conn, worker_id=worker_id, queues=["chat"], job_types=[CHAT_TURN.name], slots=1)

    async def stop() -> None:
        await stopping.stop(database, jobs, received.session_id)

    agent.meanwhile = stop
    await Executor(jobs, 1, on_stuck=pytest.fail).run(job)
    await deal_with_cancels(conn, jobs, worker_id, lambda *_: pytest.fail("it holds nothing"))
    assert (await view_of(database, job.id)).state == "cancelled"
    assert await lines(conn, received.session_id) == [("human", "hello"), ("system", STOPPED)]


@pytest.mark.parametrize("locks", [True, False])
async def test_a_turn_that_begins_as_its_chat_is_reset_is_stopped(
    jobs: Jobs,
    database: Database,
    conn: Connection,
    other: Connection,
    locks: bool,  # noqa: FBT001 - the mutant
) -> None:
    """Without the lock the reset looks before the turn is committed, and the old session answers after the reset."""
    received = await say(jobs, "hello")
    turn_id = uuid4()
    async with conn.transaction():
        held = await chats.hold(conn, received.session_id)
        assert held
        assert await chats.bind(conn, received.session_id, turn_id)
        await begin_turn(conn, turn_id=turn_id, session_id=held, job_id=received.job_id)
        with nullcontext() if locks else mutated((" FOR NO KEY UPDATE", "")):
            resetting = asyncio.create_task(stopping.reset(database, jobs, received.session_id))
            await until_blocked(other)  # on the chat, or on its message
    stopped = await resetting
    assert stopped.turns == int(locks)
    assert (("system", STOPPED) in await lines(conn, received.session_id)) is locks


async def test_messages_runs_and_stops_at_once_leave_each_message_one_end(database: Database, conn: Connection) -> None:
    """Whoever waits for whom, nobody for ever: a deadlock is one transaction's to repeat."""
    chance = random.Random(7)

    async def pause() -> None:
        await asyncio.sleep(chance.random() / 200)

    agent = ScriptedAgent(meanwhile=pause)
    async with answering(database, agent) as jobs:
        chat = (await say(jobs, "0")).session_id

        async def talk() -> None:
            for number in range(8):
                await say(jobs, str(number), chat)
                await pause()

        async def interrupt() -> None:
            for _ in range(6):
                await pause()
                await chance.choice((stopping.stop, stopping.reset))(database, jobs, chat)

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(talk())
                group.create_task(interrupt())
        await until(lambda: no_jobs(conn))
    (counts,) = await fetch(
        conn,
        """
        SELECT count(*) FILTER (WHERE said.ended_at IS NULL) AS open,
               count(*) FILTER (WHERE ends.n <> 1) AS not_once, count(*) AS said
        FROM jobs.chat_message_history AS said
        CROSS JOIN LATERAL (SELECT count(*) AS n FROM jobs.chat_message_history AS e
                            WHERE e.turn_id = said.turn_id AND e.type <> 'human') AS ends
        WHERE said.type = 'human'
        """,
    )
    assert counts == {"open": 0, "not_once": 0, "said": 17}


async def no_jobs(conn: Connection) -> bool:
    return not await fetch(conn, "SELECT FROM jobs.jobs")
