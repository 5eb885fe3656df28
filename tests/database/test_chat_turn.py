"""The chat_turn handler in a worker's executor, on a real Postgres; what lies outside, the agent, is scripted."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock
from uuid import UUID

import pytest
from psycopg.errors import DiskFull, StatementTooComplex

from assistant import agents, chat_history, chats, people, sending
from assistant.chats import CHAT_TURN
from assistant.deliveries import list_deliveries, queue_of
from assistant.workspaces import Workspaces
from handlers import chat_turn, turn_kind
from handlers import turns as turns_module
from handlers.chat_turn import ChatTurns
from handlers.turns import LEFT
from jobs_core import (
    AnyJob,
    Connection,
    ConnectionFailed,
    Database,
    HandlerTable,
    Jobs,
    LeaseLost,
    Snooze,
    execute,
    fetch,
)
from jobs_core.claim import claim
from jobs_core.leases import register
from jobs_core.look import JobView, find
from jobs_core.settle import end, settle
from jobs_core.wake import Ready
from sessions import (
    AgentBroke,
    Audience,
    BudgetExhausted,
    CredentialsRefused,
    MirrorFailed,
    ModelUnavailable,
    PromptRefused,
    RateLimited,
    TranscriptLost,
    TurnEnd,
    TurnFailed,
)
from tests.support.mutants import NO_FENCE, mutated
from tests.support.people import EVE, contact, owner
from tests.support.tool_calls import THEY_ARE_KNOWN
from workers.executor import Executor

LAST = CHAT_TURN.retries.max_retries


@dataclass
class ScriptedAgent:
    """Stands in for ClaudeSessions: answers, raises or does what it is told, and remembers what it was asked."""

    answer: str = "Hi."
    raises: Exception | None = None
    meanwhile: Callable[[], Awaitable[Any]] | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def run_turn(self, **arguments: Any) -> TurnEnd:
        self.asked.append(arguments)
        if self.meanwhile:
            await self.meanwhile()
        if self.raises:
            raise self.raises
        return TurnEnd(self.answer, {"output_tokens": 1}, "asked")


@dataclass
class Bench:
    """A worker without a process: claims chat turns and runs them."""

    jobs: Jobs
    agent: ScriptedAgent
    worker_id: int
    conn: Connection

    async def say(self, message: str, session_id: str | None = None, **changes: Any) -> chats.Received:
        given: dict[str, Any] = {"channel": "web", "user_id": None, **changes}
        async with self.jobs.database.transaction() as own:
            return await chats.receive(own, self.jobs, session_id=session_id, message=message, **given)

    async def claim(self) -> AnyJob:
        await execute(self.conn, "UPDATE jobs.jobs SET ready_seq = nextval('jobs.ready_seq') WHERE state = 'pending'")
        await execute(self.conn, "DELETE FROM jobs.pauses")
        (job,) = await claim(self.conn, worker_id=self.worker_id, queues=["chat"], job_types=[CHAT_TURN.name], slots=1)
        return job

    def executor(self) -> Executor:
        return Executor(self.jobs, 1, on_stuck=pytest.fail)

    async def run(self) -> str | None:
        """Claim the next job, however long it would wait, run and settle it; returns its state, None: nothing written."""
        settled = await self.executor().run(await self.claim())
        return settled.state if settled else None

    async def seen(self, received: chats.Received) -> JobView:
        view = await find(self.conn, received.job.id)
        assert view is not None
        return view

    async def lines(self, received: chats.Received) -> list[tuple[str, str]]:
        return [(line.type, line.content) for line in await chat_history.newest(self.conn, received.session_id)]

    async def spend_retries(self) -> None:
        await execute(self.conn, "UPDATE jobs.jobs SET retry_count = %(last)s", {"last": LAST})


@pytest.fixture
async def bench(database: Database, conn: Connection) -> Any:
    agent, table = ScriptedAgent(), HandlerTable()
    chat_turn.register(table, database=database, sessions=agent)  # type: ignore[arg-type]  # a stand-in for the agent
    worker_id = await register(conn, queues=["chat"], job_types=[CHAT_TURN.name], slots=1, lease_s=600)
    async with Jobs(database, table) as jobs:
        yield Bench(jobs, agent, worker_id, conn)


async def turns(conn: Connection) -> list[Any]:
    return await fetch(
        conn, "SELECT id, session_id, job_id, ended_at IS NOT NULL AS ended FROM jobs.turns ORDER BY started_at"
    )


async def test_an_answer_stands_in_the_chat_when_its_job_is_complete(bench: Bench, conn: Connection) -> None:
    received = await bench.say("hello")
    assert await bench.run() == "complete"
    (turn,) = await turns(conn)
    assert turn["ended"]
    token = (await bench.seen(received)).token
    assert turn["job_id"] == received.job.id
    assert (await bench.seen(received)).result == {"status": "answered", "turn_id": str(turn["id"])}
    assert await bench.lines(received) == [("human", "hello"), ("ai", "Hi.")]
    (asked,) = bench.agent.asked
    account, agent = asked.pop("account"), asked.pop("agent")
    assert (account.turn_id, account.job_id) == (turn["id"], received.job.id)
    assert asked == {
        "session_id": turn["session_id"],
        "epoch": 1,
        "turn_id": turn["id"],
        "prompt": "hello",
        "on_event": asked["on_event"],
        "audience": Audience(received.session_id, token),
    }
    assert replace(agent, own_tools=(), decide=None, on_tool_end=None) == agents.setup_for(
        await agents.load(conn, "assistant"), await people.owner(conn), owner="owner", workspaces=None
    )


async def test_each_turn_acts_for_the_user_whose_chat_it_is(bench: Bench, database: Database, tmp_path: Path) -> None:
    """One of each at once, in one process: what each gets, and whom its tools would act for."""
    table, seen = HandlerTable(), dict[str, str]()
    both_inside = asyncio.Barrier(2)

    async def look() -> None:
        async with asyncio.timeout(30):
            await both_inside.wait()
        mine = people.current_user()
        await asyncio.sleep(0)
        assert await asyncio.to_thread(people.current_user) == mine
        seen[mine.role] = mine.id

    bench.agent.meanwhile = look
    chat_turn.register(table, database=database, sessions=bench.agent, workspaces=Workspaces(tmp_path))  # type: ignore[arg-type]  # a stand-in for the agent
    eve, ada = await contact(database, EVE, name="Eve"), await owner(database)
    await bench.say("for Eve", channel="telegram", user_id=eve.id)
    await bench.say("for Ada", user_id=ada.id)
    runs = [Executor(Jobs(database, table), 1, on_stuck=pytest.fail).run(await bench.claim()) for _ in range(2)]
    assert [settled.state for settled in await asyncio.gather(*runs) if settled] == ["complete"] * 2
    assert (seen["owner"], seen["external"]) == (ada.id, eve.id)
    setups = {asked["prompt"]: asked["agent"] for asked in bench.agent.asked}
    assert setups["for Ada"].workspace.parent == tmp_path / ada.id
    assert "Read" in setups["for Ada"].tools
    theirs = setups["for Eve"]
    assert (theirs.tools, theirs.workspace, theirs.mcp_servers) == ((), None, {})
    assert {tool.name for tool in theirs.own_tools} == {"get_my_tasks", "send_summary_to_owner", "update_task_status"}
    assert "create_task" in {tool.name for tool in setups["for Ada"].own_tools}
    assert '"Eve"' in theirs.system_prompt


async def test_a_workspace_that_cannot_be_had_is_retried_and_told(
    bench: Bench, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "w").symlink_to(tmp_path)
    table = HandlerTable()
    chat_turn.register(table, database=database, sessions=bench.agent, workspaces=Workspaces(tmp_path / "w"))  # type: ignore[arg-type]  # a stand-in for the agent
    received = await bench.say("hello")
    await bench.spend_retries()
    await Executor(Jobs(database, table), 1, on_stuck=pytest.fail).run(await bench.claim())
    assert "it is a link, or a file" in (await bench.lines(received))[-1][1]
    assert bench.agent.asked == []


async def test_what_gathered_in_a_chat_is_one_prompt_and_the_other_jobs_have_nothing_to_do(bench: Bench) -> None:
    first = await bench.say("one")
    second = await bench.say("two\nlines", first.session_id)
    assert [await bench.run(), await bench.run()] == ["complete", "complete"]
    assert [asked["prompt"] for asked in bench.agent.asked] == ["one\n\ntwo\nlines"]
    assert (await bench.seen(second)).result == {"status": "nothing_to_do", "turn_id": None}
    replies = await chat_history.replies_to(bench.conn, [second.message_id])
    assert replies[second.message_id].text == "Hi."


async def test_a_job_of_a_chat_that_is_not_there_has_nothing_to_do(bench: Bench) -> None:
    await bench.jobs.create(CHAT_TURN, {"session_id": "web_unknown"})
    assert await bench.run() == "complete"
    assert bench.agent.asked == []


async def test_a_repeated_run_goes_on_with_its_turn_and_leaves_later_messages_to_the_next(bench: Bench) -> None:
    first = await bench.say("one")
    bench.agent.raises = AgentBroke("it died")
    assert await bench.run() == "pending"
    second = await bench.say("two", first.session_id)
    bench.agent.raises = None
    assert [await bench.run(), await bench.run()] == ["complete", "complete"]
    again, later = bench.agent.asked[1:]
    assert (again["turn_id"], again["prompt"]) == (bench.agent.asked[0]["turn_id"], "one")
    assert later["prompt"] == "two"
    assert later["turn_id"] != again["turn_id"]
    assert [asked["epoch"] for asked in bench.agent.asked] == [1, 2, 3]
    assert len({asked["session_id"] for asked in bench.agent.asked}) == 1
    assert (await bench.lines(second))[1:] == [("human", "two"), ("ai", "Hi."), ("ai", "Hi.")]


@pytest.mark.parametrize("fenced", [True, False])
async def test_a_run_that_was_taken_over_writes_no_answer(bench: Bench, conn: Connection, fenced: bool) -> None:  # noqa: FBT001 - the mutant
    """With the fence taken out of the settle, the stale run's answer is in the chat."""
    received = await bench.say("hello")
    job = await bench.claim()

    async def lose_the_job() -> None:
        async with bench.jobs.database.connection() as other:
            await settle(other, job, Snooze(timedelta(0)), CHAT_TURN)
        await bench.claim()

    bench.agent.meanwhile = lose_the_job
    if fenced:
        assert await Executor(bench.jobs, 1, on_stuck=pytest.fail).run(job) is None
    else:
        with mutated(NO_FENCE):
            await Executor(bench.jobs, 1, on_stuck=pytest.fail).run(job)
    assert (("ai", "Hi.") in await bench.lines(received)) is not fenced
    assert (await turns(conn))[0]["ended"] is not fenced


async def test_a_run_whose_job_was_taken_before_it_bound_anything_binds_nothing(
    bench: Bench, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the handler's own fence it binds the messages to a turn that nobody will end."""
    await bench.say("hello")
    old = await bench.claim()
    await settle(conn, old, Snooze(timedelta(0)), CHAT_TURN)
    await bench.claim()
    handle: Any = bench.jobs.table.handler(CHAT_TURN.name)
    old.input = chats.ChatTurnInput.model_validate_json(old.input)
    with pytest.raises(LeaseLost):
        await handle(old)
    assert await fetch(conn, "SELECT FROM jobs.chat_message_history WHERE turn_id IS NOT NULL") == []
    assert bench.agent.asked == []
    monkeypatch.setattr(turns_module, "fence", AsyncMock())
    await handle(old)
    assert len(bench.agent.asked) == 1


async def test_a_run_whose_session_was_taken_over_writes_nothing(bench: Bench) -> None:
    received = await bench.say("hello")
    bench.agent.raises = LeaseLost("session: epoch 1 is no longer the session's")
    assert await bench.run() is None
    assert await bench.lines(received) == [("human", "hello")]


async def test_an_answer_that_cannot_be_kept_leaves_the_turn_open(bench: Bench, conn: Connection) -> None:
    """Were answer and job's end two transactions, one of them would stand."""
    received = await bench.say("hello")
    await execute(
        conn, "ALTER TABLE jobs.chat_message_history ADD CONSTRAINT no_answers CHECK (type <> 'ai') NOT VALID"
    )
    assert await bench.run() == "pending"
    assert [turn["ended"] for turn in await turns(conn)] == [False]
    (line,) = await chat_history.newest(conn, received.session_id)
    assert line.state == "waiting"


async def test_no_connection_is_held_while_the_agent_works(database_url: str, bench: Bench) -> None:
    received = await bench.say("hello")
    async with Database(database_url, name="tests, one connection", max_connections=1) as single:
        agent, table = ScriptedAgent(), HandlerTable()

        async def use_the_only_connection() -> None:
            async with single.transaction() as own:
                await execute(own, "SELECT 1")

        agent.meanwhile = use_the_only_connection
        chat_turn.register(table, database=single, sessions=agent)  # type: ignore[arg-type]  # a stand-in for the agent
        await Executor(Jobs(single, table), 1, on_stuck=pytest.fail).run(await bench.claim())
    assert ("ai", "Hi.") in await bench.lines(received)


@pytest.mark.parametrize(
    ("error", "state", "retries"),
    [
        (RateLimited("429"), "pending", 0),
        (ConnectionFailed[0]("the database went away"), "pending", 0),
        (ModelUnavailable("529"), "pending", 0),
        (CredentialsRefused("the key is refused"), "pending", 0),
        (BudgetExhausted(Decimal(2), Decimal(2)), "pending", 0),
        (AgentBroke("it died"), "pending", 1),
        (MirrorFailed("not stored"), "pending", 1),
        (ZeroDivisionError("a surprise"), "pending", 1),
        (TurnFailed("prompt too long"), "failed", 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_what_goes_wrong_decides_whether_a_turn_waits_is_retried_or_fails(
    bench: Bench, error: Exception, state: str, retries: int
) -> None:
    received = await bench.say("hello")
    bench.agent.raises = error
    assert await bench.run() == state
    view = await bench.seen(received)
    assert (view.state, view.retry_count) == (state, retries)
    told = [("system", f"This could not be answered: {error}")] if state == "failed" else []
    assert await bench.lines(received) == [("human", "hello"), *told]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RateLimited("429"), "rate_limited"),
        (ModelUnavailable("529"), "rate_limited"),
        (CredentialsRefused("401"), "rate_limited"),
        (BudgetExhausted(Decimal(2), Decimal(2)), "budget"),
        (TimeoutError(), "timeout"),
        (AgentBroke("it died"), "error"),
    ],
)
async def test_why_a_run_gave_no_answer_is_recorded(
    bench: Bench, conn: Connection, error: Exception, reason: str
) -> None:
    await bench.say("hello")
    bench.agent.raises = error
    assert await bench.run() == "pending"
    assert [row["reason"] for row in await fetch(conn, "SELECT reason FROM jobs.attempts")] == [reason]


@pytest.mark.parametrize("error", [RateLimited("429"), CredentialsRefused("401"), AgentBroke("it died")])
async def test_a_turn_that_is_put_back_for_too_long_says_so_in_its_chat(
    bench: Bench, conn: Connection, error: Exception
) -> None:
    received = await bench.say("hello")
    bench.agent.raises = error
    assert await bench.run() == "pending"
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = clock_timestamp()")
    await execute(conn, "UPDATE jobs.provider SET state = 'open', until = NULL")
    assert await bench.run() == "failed"
    given_up = f"This could not be answered: {error}; given up after 1 day, 0:00:00"
    assert (await bench.lines(received))[-1] == ("system", given_up)


async def test_a_turn_whose_time_is_over_while_the_provider_is_paused_says_so_and_asks_nothing(
    bench: Bench, conn: Connection
) -> None:
    received = await bench.say("hello")
    bench.agent.raises = RateLimited("429", retry_after_s=30)
    assert await bench.run() == "pending"
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = clock_timestamp()")
    assert await bench.run() == "failed"
    assert (await bench.lines(received))[-1] == (
        "system",
        "This could not be answered: the provider is paused: 429; given up after 1 day, 0:00:00",
    )
    assert len(bench.agent.asked) == 1


@pytest.mark.parametrize("error", [PromptRefused("too long"), TranscriptLost("it is gone")])
async def test_a_session_in_which_no_later_turn_can_work_is_left_for_a_new_one(bench: Bench, error: Exception) -> None:
    """Or the API would be sent what it refuses with every later message, and the chat were dead."""
    received = await bench.say("hello")
    bench.agent.raises = error
    assert await bench.run() == "failed"
    assert "begins anew" in (await bench.lines(received))[-1][1]
    bench.agent.raises = None
    await bench.say("again", received.session_id)
    assert await bench.run() == "complete"
    first, second = bench.agent.asked
    assert first["session_id"] != second["session_id"]


async def test_what_is_too_much_for_one_turn_is_left_to_the_next(bench: Bench) -> None:
    first = await bench.say("a" * 200_000)
    for letter in "bc":
        await bench.say(letter * 200_000, first.session_id)
    while len(bench.agent.asked) < 3:
        assert await bench.run() == "complete"
    assert [asked["prompt"][0] for asked in bench.agent.asked] == ["a", "b", "c"]


@pytest.mark.parametrize("error", [DiskFull("no room"), StatementTooComplex("never")])
async def test_only_what_will_pass_costs_a_turn_no_retry(bench: Bench, error: Exception) -> None:
    """Both are OperationalErrors; the second would come back for ever."""
    received = await bench.say("hello")
    bench.agent.raises = error
    await bench.run()
    assert (await bench.seen(received)).retry_count == int(isinstance(error, StatementTooComplex))


@pytest.mark.parametrize("answer", ["", " \n"])
async def test_an_empty_answer_is_an_error_of_the_turn(bench: Bench, answer: str) -> None:
    received = await bench.say("hello")
    bench.agent.answer = answer
    assert await bench.run() == "failed"
    assert (await bench.lines(received))[1] == ("system", "This could not be answered: the model's answer was empty")


@pytest.mark.parametrize("error", [AgentBroke("it died"), ZeroDivisionError("secret")])
async def test_the_last_failure_is_told_in_the_chat(bench: Bench, error: Exception) -> None:
    received = await bench.say("hello")
    await bench.spend_retries()
    bench.agent.raises = error
    assert await bench.run() == "failed"
    kind, text = (await bench.lines(received))[1]
    assert kind == "system"
    assert "secret" not in text
    assert (await chat_history.replies_to(bench.conn, [received.message_id]))[received.message_id].state == "failed"
    bench.agent.raises = None
    await bench.say("again", received.session_id)
    assert await bench.run() == "complete"
    assert bench.agent.asked[-1]["prompt"] == "again"


@pytest.mark.parametrize("begun", [False, True])
async def test_a_turn_that_cannot_begin_is_told_in_the_chat(bench: Bench, conn: Connection, begun: bool) -> None:  # noqa: FBT001 - a case
    """Its agent's row is none that this program can read: written by another version, or by hand."""
    received = await bench.say("one")
    if begun:
        bench.agent.raises = AgentBroke("it died")
        assert await bench.run() == "pending"
        bench.agent.raises = None
    await agents.load(conn, "assistant")
    await execute(conn, "UPDATE jobs.agents SET effort = 'secret'")
    assert await bench.run() == "pending"
    await bench.spend_retries()
    assert await bench.run() == "failed"
    (_, (kind, text)) = await bench.lines(received)
    assert (kind, "InvalidInput" in text, "secret" in text) == ("system", True, False)
    await execute(conn, "UPDATE jobs.agents SET effort = null")
    await bench.say("two", received.session_id)
    assert await bench.run() == "complete"
    assert bench.agent.asked[-1]["prompt"] == "two"


async def test_a_turn_that_takes_too_long_is_stopped_and_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CHAT_TURN.timeout > ChatTurns().timeout
    monkeypatch.setattr(turn_kind, "TIME_TO_SAY_SO", CHAT_TURN.timeout - timedelta(milliseconds=20))
    received = await bench.say("hello")
    await bench.spend_retries()
    bench.agent.meanwhile = asyncio.Event().wait
    assert await bench.run() == "failed"
    assert "it took more than" in (await bench.lines(received))[1][1]


async def test_a_turn_whose_job_was_ended_for_it_is_told_by_the_chats_next_job(bench: Bench, conn: Connection) -> None:
    first = await bench.say("one")
    bench.agent.raises = AgentBroke("it died")
    await bench.run()
    await end(conn, await bench.claim(), "failed", error="lost: its worker died too often")
    second = await bench.say("two", first.session_id)
    bench.agent.raises = None
    assert await bench.run() == "complete"
    assert bench.agent.asked[-1]["prompt"] == "two"
    told = f"This could not be answered: {LEFT}"
    assert await bench.lines(second) == [("human", "one"), ("human", "two"), ("system", told), ("ai", "Hi.")]


async def test_a_turn_stays_in_the_session_it_began_in(bench: Bench, conn: Connection) -> None:
    """A chat that is reset between two runs of a turn gets its new session with the next turn."""
    received = await bench.say("one")
    bench.agent.raises = AgentBroke("it died")
    await bench.run()
    reset = UUID(int=7)
    await execute(conn, "INSERT INTO jobs.sessions (id) VALUES (%(id)s)", {"id": reset})
    await execute(conn, "UPDATE jobs.chat_sessions SET claude_session_id = %(id)s", {"id": reset})
    bench.agent.raises = None
    await bench.run()
    await bench.say("two", received.session_id)
    await bench.run()
    one, again, two = [asked["session_id"] for asked in bench.agent.asked]
    assert one == again != two == reset


async def test_an_agent_is_told_once_of_what_did_not_arrive_in_its_chat(bench: Bench, conn: Connection) -> None:
    """The same words in each run of that turn, and none in the next one."""
    await execute(conn, THEY_ARE_KNOWN)
    first = await bench.say("hello", channel="telegram", user_id="ada")
    await bench.run()
    (owed,) = await list_deliveries(conn)
    await sending.end(conn, owed.id, "blocked", said="bot was blocked")
    await bench.say("are you there?", first.session_id, channel="telegram", user_id="ada")
    bench.agent.raises = AgentBroke("it broke")
    await bench.run()
    bench.agent.raises = None
    await bench.run()
    await bench.say("and now?", first.session_id, channel="telegram", user_id="ada")
    await bench.run()
    prompts = [asked["prompt"] for asked in bench.agent.asked]
    assert prompts[1] == prompts[2]
    note = (
        f"- your answer of {owed.created_at:%Y-%m-%d %H:%M} UTC, 'Hi.': blocked (bot was blocked)\n)\n\nare you there?"
    )
    assert prompts[1].endswith(note)
    assert "one message did not surely arrive" in prompts[1]
    assert (prompts[0], prompts[3]) == ("hello", "and now?")


async def test_an_answer_wakes_whoever_delivers_it(bench: Bench, conn: Connection) -> None:
    await execute(conn, THEY_ARE_KNOWN)
    woken = list[Any]()
    bench.jobs.notifier.on_wake = woken.append
    await bench.say("hello", channel="telegram", user_id="ada")
    await bench.run()
    assert Ready(queue_of("telegram"), "deliver") in woken
