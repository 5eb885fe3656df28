"""What rooms above the queue count: turns, approvals, deliveries, calls of models, and the Telegram door."""

import time
from datetime import timedelta
from decimal import Decimal

import pytest
from telethon.errors import FloodWaitError

from assistant import approvals, stopping
from assistant.chats import CHAT_TURN
from assistant.senders import NotYet, Refused
from gateways.telegram.egress.answers import Floods, answer_to
from gateways.telegram.egress.places import Place
from jobs_core import Connection, Database, HandlerTable, Jobs
from sessions import Usage, metrics
from tests.database.test_deliver import Post, table_of
from tests.database.test_stops import say
from tests.support.approvals import ANN, bench_on
from tests.support.counting import counted, more, seen
from tests.support.receiver import LocalSender
from tests.support.telegram import Telegram
from tests.support.telegram_door import door, logged_in, said_comes
from tests.support.web import StandInWorker


async def test_an_approved_call_and_its_turn_are_counted_at_each_step(database: Database, conn: Connection) -> None:
    states = ("pending", "approved", "executing", "executed", "unknown")
    came_to = {state: more("jobs_approvals_total", state=state) for state in states}
    answered = more("jobs_turns_total", agent="assistant", outcome="answered")
    async with bench_on(database, conn) as bench:
        action = await bench.asked()
        await approvals.approve(conn, action.id, ANN, digest=action.digest)
        assert answered() == 0
        assert await bench.run() == "complete"
    assert {state: count() for state, count in came_to.items()} == dict.fromkeys(states[:-1], 1) | {"unknown": 0}
    assert answered() == 1


async def test_turns_are_counted_by_agent_and_by_how_they_end(database: Database) -> None:
    ends = {end: more("jobs_turns_total", agent="assistant", outcome=end) for end in ("answered", "failed", "stopped")}
    table = HandlerTable()
    table.declare_all([CHAT_TURN])
    async with Jobs(database, table) as jobs:
        worker = await StandInWorker.registered(database)
        for fails in (True, False):
            await say(jobs, "What is new?")
            await worker.work("Nothing.", fails=fails)
        await stopping.stop(database, jobs, (await say(jobs, "And now?")).session_id)
    assert {end: count() for end, count in ends.items()} == {"answered": 1, "failed": 1, "stopped": 1}


@pytest.mark.parametrize(
    ("comes_to", "state"),
    [(None, "sent"), (Refused("no"), "failed"), (NotYet(timedelta(hours=1), "later"), None)],
)
async def test_a_delivery_is_counted_when_it_ends(
    database: Database, conn: Connection, comes_to: object, state: str | None
) -> None:
    ends = {end: more("jobs_deliveries_total", channel="telegram", state=end) for end in ("sent", "failed")}
    sender = LocalSender()
    async with Jobs(database, table_of(database, sender)) as jobs:
        post = Post(jobs, conn, sender)
        await post.owe()
        await post.run(*([comes_to] if comes_to else []))
    assert {end for end, count in ends.items() if count()} == ({state} if state else set())


@pytest.mark.parametrize(
    ("model", "counted_as"),
    [("claude-opus-5-20260101", "claude-opus-5"), ("claude-opus-5-whatever", "claude-opus-5"), ("anything", "other")],
)
def test_calls_are_counted_by_the_names_in_the_price_list_alone(model: str, counted_as: str) -> None:
    kinds = {"input": 5, "output": 6, "cache_read": 7, "cache_write": 8}
    tokens = {kind: more("jobs_model_tokens_total", model=counted_as, kind=kind) for kind in kinds}
    calls, cost = more("jobs_model_calls_total", model=counted_as), more("jobs_model_cost_usd_total", model=counted_as)
    used = Usage(calls=1, cost_usd=Decimal("0.5"), **{f"{kind}_tokens": n for kind, n in kinds.items()})
    metrics.count_call(model, used)
    assert {kind: count() for kind, count in tokens.items()} == kinds
    assert (calls(), cost()) == (1, 0.5)


async def test_a_message_is_counted_once_and_so_is_that_none_is_missing(database: Database) -> None:
    taken = more("jobs_telegram_commit_seconds_count", account="bot")
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        async with door(database) as opened:
            telegram.say(alice, "What is new?", to=bot)
            await said_comes(database, 1)
            await seen(lambda: taken() == 1)
            began = time.time()
            await opened.reconciled("bot")
            assert counted("jobs_telegram_reconciled_timestamp_seconds", account="bot") >= began
            assert taken() == 1


def test_what_telegram_asks_to_wait_is_added_up() -> None:
    waits = more("jobs_telegram_flood_waits_total", account="bot")
    seconds = more("jobs_telegram_flood_wait_seconds_total", account="bot")
    place, floods = Place("bot", is_bot=True, chat_id=7, access_hash=None), Floods()
    for asked in (30, 12):
        assert isinstance(answer_to(FloodWaitError(None, capture=asked), place, floods), NotYet)
    assert (waits(), seconds()) == (2, 42)
