"""What a chat's turn does while there is no money, or the provider does badly: it waits, says so once, and goes on."""

import asyncio
from decimal import Decimal
from typing import Any
from unittest.mock import AsyncMock

import pytest

from assistant import agents
from assistant.notifications import list_notifications
from jobs_core import Connection, ConnectionFailed, Snooze, execute, fetch
from jobs_core.explain import explain
from jobs_core.settle import settle
from sessions import BudgetExhausted, CredentialsRefused, ModelUnavailable, RateLimited, TurnEnd, budgets, provider
from sessions.budgets import Scope
from sessions.caps import raise_cap, set_cap
from sessions.events import TurnEvent
from sessions.provider import FAILURES, look
from sessions.store import append_transcript
from tests.database.test_chat_turn import CHAT_TURN, Bench, bench
from tests.support.budgets import account, spend

__all__ = ["bench"]

DAY = Scope("day")
CALLED = TurnEvent("tool_call", {})


async def cap(conn: Connection, scope: Scope, usd: str) -> None:
    await set_cap(conn, scope, Decimal(usd), set_by="a test")


async def state(conn: Connection) -> str:
    (row,) = await fetch(conn, "SELECT state FROM jobs.jobs")
    return str(row["state"])


def spends(bench: Bench, conn: Connection, *amounts: str) -> None:
    """Each run of the agent spends the next of these; past its cap the proxy lets no call through."""
    left = iter(amounts)

    async def work() -> None:
        asked = bench.agent.asked[-1]
        usd = next(left)
        (row,) = await fetch(conn, "SELECT token FROM jobs.jobs")
        await spend(conn, asked["turn_id"], row["token"], usd)
        (hold,) = await fetch(conn, "SELECT min(usd) AS usd FROM jobs.budget_holds")
        if Decimal(usd) >= hold["usd"]:
            raise BudgetExhausted(Decimal(usd), hold["usd"])

    bench.agent.meanwhile = work


async def test_a_turn_reserves_before_it_asks_and_settles_with_its_answer(bench: Bench, conn: Connection) -> None:
    await cap(conn, DAY, "10")
    await cap(conn, Scope("turn"), "2")
    await cap(conn, Scope("chat"), "3")
    received = await bench.say("hello")
    seen = list[Any]()

    async def look_at_accounts() -> None:
        seen.extend([await account(conn, "day"), await account(conn, "chat", received.session_id)])
        (row,) = await fetch(conn, "SELECT token FROM jobs.jobs")
        await spend(conn, bench.agent.asked[-1]["turn_id"], row["token"], "0.5")

    bench.agent.meanwhile = look_at_accounts
    assert await bench.run() == "complete"
    assert seen == [(0, 2), (0, 2)], "what its turn may cost"
    assert await account(conn, "day") == await account(conn, "chat", received.session_id) == (Decimal("0.5"), 0)


async def test_what_an_agent_s_row_says_of_its_turns_and_days_counts_unless_said_by_hand(
    bench: Bench, conn: Connection
) -> None:
    async def told(**budget: float) -> list[tuple[str, Decimal]]:
        async with conn.transaction():
            await agents.put(conn, agents.DEFAULT_AGENT, {"budget": budget})
        await bench.say("hello")
        assert await bench.run() == "complete"
        turn_id = str(bench.agent.asked[-1]["turn_id"])
        rows = await fetch(
            conn,
            "SELECT scope, cap_usd FROM jobs.budget_caps WHERE key = %(turn)s OR scope = 'agent' ORDER BY scope",
            {"turn": turn_id},
        )
        return [(row["scope"], row["cap_usd"]) for row in rows]

    await cap(conn, Scope("turn"), "2")
    assert await told(turn_usd=3.5, day_usd=10.0) == [("agent", 10), ("turn", Decimal("3.5"))]
    assert bench.agent.asked[-1]["account"].cap_usd == Decimal("3.5"), "not what holds for everybody"
    assert await told(day_usd=1.0) == [("agent", 1)]
    assert bench.agent.asked[-1]["account"].cap_usd == 1
    assert await told() == []
    assert bench.agent.asked[-1]["account"].cap_usd == 2
    await cap(conn, Scope("agent", agents.DEFAULT_AGENT), "0.5")
    assert await told(day_usd=10.0) == [("agent", Decimal("0.5"))]


async def test_a_chat_that_comes_short_of_what_its_agent_s_row_says_now_stays_waiting(
    bench: Bench, conn: Connection
) -> None:
    """Under the cap that it had before there would be enough: it would be told so at once, each time that it waits."""

    async def may_spend(day_usd: float) -> None:
        async with conn.transaction():
            await agents.put(conn, agents.DEFAULT_AGENT, {"budget": {"day_usd": day_usd}})

    await may_spend(5)
    await bench.say("hello")
    spends(bench, conn, "2", "0")
    assert await bench.run() == "complete"
    await may_spend(1)
    await bench.say("and this")
    assert await bench.run() == "waiting"
    assert await state(conn) == "waiting"
    assert (await budgets.sweep(conn), await state(conn)) == (set(), "waiting")


@pytest.mark.parametrize(("before", "after"), [({"day_usd": 1}, {"day_usd": 4}), ({}, {"turn_usd": 4})])
async def test_a_chat_that_waits_goes_on_when_its_agent_s_row_allows_more(
    bench: Bench, conn: Connection, before: dict[str, float], after: dict[str, float]
) -> None:
    """What a row says becomes a cap when a run of the agent begins, and none would."""

    async def may_spend(budget: dict[str, float]) -> None:
        async with conn.transaction():
            await agents.edit(conn, agents.DEFAULT_AGENT, {"budget": budget})

    await cap(conn, Scope("turn"), "2" if before else "1")
    await may_spend(before)
    await bench.say("hello")
    spends(bench, conn, "1", "0")
    assert await bench.run() == "pending"
    assert await bench.run() == "waiting"
    await execute(conn, "UPDATE jobs.usage SET agent = %(agent)s", {"agent": bench.agent.asked[0]["account"].agent})
    await may_spend(before)
    assert await state(conn) == "waiting"
    await may_spend(after)
    assert await state(conn) == "pending"
    assert await bench.run() == "complete"


async def test_an_answer_that_cannot_be_kept_books_nothing(bench: Bench, conn: Connection) -> None:
    """Were they two transactions, one would stand. The next run settles it."""
    await cap(conn, DAY, "10")
    await bench.say("hello")
    spends(bench, conn, "0.5", "0.25")
    no_answers = "ALTER TABLE jobs.chat_message_history ADD CONSTRAINT no_answers CHECK (type <> 'ai') NOT VALID"
    await execute(conn, no_answers)
    assert await bench.run() == "pending"
    assert await account(conn, "day") == (0, 5)
    await execute(conn, "ALTER TABLE jobs.chat_message_history DROP CONSTRAINT no_answers")
    assert await bench.run() == "complete"
    assert await account(conn, "day") == (Decimal("0.75"), 0)


async def test_past_a_cap_a_chat_waits_says_so_once_and_goes_on_when_more_is_approved(
    bench: Bench, conn: Connection
) -> None:
    await cap(conn, DAY, "0")
    received = await bench.say("hello")
    assert await bench.run() == "waiting"
    assert received.job
    (why,) = await explain(conn, received.job.id) or []
    assert why.text.startswith("it waits for the event budget:day:")
    await cap(conn, DAY, "0")  # lets it try again
    assert await bench.run() == "waiting"
    (_, (kind, told)) = await bench.lines(received)
    assert kind == "system"
    assert told.startswith("This waits: today's budget is used up. It goes on at ")
    (news,) = await list_notifications(conn)
    assert (news.user_id, news.category) == (None, "budget")
    assert news.body.endswith("Approve more: ./jobs budget raise day --by 5")
    assert bench.agent.asked == []
    await bench.say("and this", received.session_id)
    await raise_cap(conn, DAY, Decimal(5), set_by="a test")
    assert await bench.run() == "complete"
    assert [asked["prompt"] for asked in bench.agent.asked] == ["hello\n\nand this"], (
        "nothing was bound while it waited"
    )
    assert (await bench.lines(received))[-1] == ("ai", "Hi.")


async def test_a_turn_that_reaches_its_cap_goes_on_where_it_was_when_more_is_approved_and_spends_no_retry(
    bench: Bench, conn: Connection
) -> None:
    await cap(conn, Scope("turn"), "1")
    received = await bench.say("hello")
    spends(bench, conn, "1.1", "0.5")
    assert await bench.run() == "pending"
    assert await bench.run() == "waiting"
    assert [row["reason"] for row in await fetch(conn, "SELECT reason FROM jobs.attempts")] == ["budget"]
    turn_id = bench.agent.asked[0]["turn_id"]
    assert (await bench.lines(received))[-1][1] == (
        "This waits: the turn's budget is used up. It goes on when more is approved."
    )
    await raise_cap(conn, Scope("turn", str(turn_id)), Decimal(1), set_by="a test")
    assert await bench.run() == "complete"
    assert [asked["turn_id"] for asked in bench.agent.asked] == [turn_id, turn_id]
    assert await account(conn, "turn", str(turn_id)) == (Decimal("1.6"), 0)
    assert (await bench.seen(received)).retry_count == 0


@pytest.mark.parametrize(("stop", "expected"), [("end_turn", "complete"), ("tool_use", "waiting")])
async def test_an_answer_that_is_on_record_needs_no_money(
    bench: Bench, conn: Connection, stop: str, expected: str
) -> None:
    """Its run died before it could settle, and had spent all that the turn may cost."""
    await cap(conn, Scope("turn"), "1")
    await bench.say("hello")
    spends(bench, conn, "1.1", "0")
    assert await bench.run() == "pending"
    asked = bench.agent.asked[0]
    (session,) = await fetch(conn, "SELECT id, epoch FROM jobs.sessions")
    said = {"id": "m", "model": "x", "stop_reason": stop, "content": [{"type": "text", "text": "Hi."}]}
    entries = [{"type": "user", "uuid": str(asked["turn_id"])}, {"type": "assistant", "uuid": "2", "message": said}]
    async with conn.transaction():
        await append_transcript(conn, session["id"], session["epoch"], entries)
    bench.agent.meanwhile = None
    assert await bench.run() == expected
    assert [again["account"].cap_usd for again in bench.agent.asked[1:]] == ([0] if expected == "complete" else [])
    assert await account(conn, "turn", str(asked["turn_id"])) == (Decimal("1.1"), 0)


async def test_a_run_that_lost_its_job_leaves_its_money_to_the_next(bench: Bench, conn: Connection) -> None:
    """Its turn's next run gets all of it: one dollar is all there is."""
    await cap(conn, DAY, "1")
    await bench.say("hello")
    job = await bench.claim()

    async def lose_the_job() -> None:
        async with bench.jobs.database.connection() as other:
            await settle(other, job, Snooze(0 * CHAT_TURN.timeout), CHAT_TURN)

    bench.agent.meanwhile = lose_the_job
    assert await bench.executor().run(job) is None
    assert await account(conn, "day") == (0, 1)
    bench.agent.meanwhile = None
    assert await bench.run() == "complete"
    assert await account(conn, "day") == (0, 0)


async def test_money_that_another_chat_s_dead_run_holds_is_found(bench: Bench, conn: Connection) -> None:
    await cap(conn, DAY, "1")
    await bench.say("one")
    job = await bench.claim()

    async def lose_the_job() -> None:
        async with bench.jobs.database.connection() as other:
            await settle(other, job, Snooze(CHAT_TURN.timeout), CHAT_TURN)

    bench.agent.meanwhile = lose_the_job
    assert await bench.executor().run(job) is None
    bench.agent.meanwhile = None
    await bench.say("two")
    await execute(conn, "UPDATE jobs.jobs SET queue = 'later' WHERE id = %(id)s", {"id": job.id})
    assert await bench.run() == "complete"
    assert bench.agent.asked[-1]["prompt"] == "two"


async def put_back(bench: Bench, conn: Connection, error: Exception) -> None:
    """Have the provider fail the next run so, and its pause be over."""
    bench.agent.raises = error
    assert await bench.run() == "pending"
    await execute(conn, "UPDATE jobs.provider SET until = clock_timestamp()")


@pytest.mark.parametrize("error", [RateLimited("429", retry_after_s=0.0), CredentialsRefused("401")])
async def test_the_first_response_after_a_pause_lets_all_go_on_while_its_turn_is_under_way(
    bench: Bench, conn: Connection, error: Exception
) -> None:
    await bench.say("one")
    await put_back(bench, conn, error)
    bench.agent.raises = None
    seen = list[str]()

    async def hear() -> None:
        seen.append((await look(conn)).state)
        bench.agent.asked[-1]["on_event"](TurnEvent("text", {}))
        bench.agent.asked[-1]["on_event"](CALLED)
        async with asyncio.timeout(30):
            while (await look(conn)).state != "open":
                await asyncio.sleep(0.01)
        seen.append("open")

    bench.agent.meanwhile = hear
    assert await bench.run() == "complete"
    assert seen[1] == "open" != seen[0]


async def test_the_next_call_of_a_tool_tells_it_where_the_first_could_not_be_written(
    bench: Bench, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise all others would wait until the turn's end, half an hour perhaps."""
    await bench.say("one")
    await put_back(bench, conn, RateLimited("429"))
    bench.agent.raises = None
    answered, told = provider.answered, asyncio.Event()

    async def away(*_: Any, **__: Any) -> bool:
        monkeypatch.setattr(provider, "answered", answered)
        told.set()
        raise ConnectionFailed[0]("gone")

    monkeypatch.setattr(provider, "answered", away)

    async def hear() -> None:
        bench.agent.asked[-1]["on_event"](CALLED)
        await told.wait()
        async with asyncio.timeout(30):
            while (await look(conn)).state != "open":
                bench.agent.asked[-1]["on_event"](CALLED)
                await asyncio.sleep(0.01)

    bench.agent.meanwhile = hear
    assert await bench.run() == "complete"


async def test_an_answer_on_record_says_nothing_of_the_provider(
    bench: Bench, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.say("one")
    await put_back(bench, conn, RateLimited("429"))
    monkeypatch.setattr(bench.agent, "run_turn", AsyncMock(return_value=TurnEnd("Hi.", None, "recorded")))
    assert await bench.run() == "complete"
    now = await look(conn)
    assert (now.state, now.prober_job, now.succeeded_at) == ("paused", None, None)
    assert now.waits_s <= 0, "the next run tries"


async def test_a_refusal_is_told_to_the_owner_once_however_many_meet_it(bench: Bench, conn: Connection) -> None:
    for text in ("one", "two", "three"):
        await bench.say(text)
    jobs = [await bench.claim() for _ in range(3)]
    bench.agent.raises = CredentialsRefused("401 invalid x-api-key")
    met = asyncio.Barrier(3)
    bench.agent.meanwhile = met.wait  # all are under way when the first is refused
    await asyncio.gather(*(bench.executor().run(job) for job in jobs))
    (news,) = await list_notifications(conn)
    assert (news.user_id, news.severity) == (None, "error")
    assert "401 invalid x-api-key" in news.body
    states = await fetch(conn, "SELECT state, retry_count FROM jobs.jobs")
    assert [tuple(row.values()) for row in states] == [("pending", 0)] * 3


async def test_failures_in_a_row_pause_and_one_alone_does_not(bench: Bench, conn: Connection) -> None:
    await bench.say("one")
    bench.agent.raises = ModelUnavailable("529")
    states = list[str]()
    for _ in range(FAILURES):
        assert await bench.run() == "pending"
        states.append((await look(conn)).state)
    assert states == [*["open"] * (FAILURES - 1), "paused"]
    assert len(bench.agent.asked) == FAILURES
    (job,) = await fetch(conn, "SELECT retry_count FROM jobs.jobs")
    assert job["retry_count"] == 0


@pytest.mark.parametrize(("others_answered", "retries"), [(True, 1), (False, 0)])
async def test_one_that_gets_no_answer_for_long_while_others_do_spends_retries(
    bench: Bench,
    conn: Connection,
    others_answered: bool,  # noqa: FBT001 - the case
    retries: int,
) -> None:
    received = await bench.say("one")
    bench.agent.raises = ModelUnavailable("500")
    assert await bench.run() == "pending"
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = give_up_at - interval '20 min'")

    async def others() -> None:
        if others_answered:
            await execute(conn, "UPDATE jobs.provider SET succeeded_at = clock_timestamp(), failures = 0")

    bench.agent.meanwhile = others
    assert await bench.run() == "pending"
    assert (await bench.seen(received)).retry_count == retries


async def test_a_probe_that_has_nothing_to_ask_lets_another_try(bench: Bench, conn: Connection) -> None:
    first = await bench.say("one")
    await bench.say("two", first.session_id)
    await put_back(bench, conn, RateLimited("429"))
    await cap(conn, DAY, "0")
    assert await bench.run() == "waiting"
    now = await look(conn)
    assert (now.state, now.prober_job) == ("paused", None)
    assert now.waits_s <= 0
