"""No call without the ledger, none past the cap, none of a run that lost its session; and what of calls that are cut."""

import asyncio
from decimal import Decimal
from uuid import uuid4

import httpx
import pytest

from jobs_core import Database, LeaseLost, db, execute, fetch_one
from sessions import BudgetExhausted, Usage, take_session
from sessions.usage import OpenCall, open_call, usage_of_turn
from simulator.client import SimulatorControl
from tests.support.model_proxy import MODEL, Caller, age_calls, body, calling, one_run, proxied, usd
from tests.support.proxy import proxied as cut_off

USED = '[[usage {"input_tokens": 1000, "output_tokens": 100, "cache_read_input_tokens": 10000}]] [[text Ok.]]'
COST = usd("0.002") + usd("0.001") + usd("0.002")
ESTIMATED = usd("0.0125") + usd("0.01")
"""5,000 tokens in, 1,000 out."""


async def open_calls(database: Database, caller: Caller) -> int:
    async with database.connection() as conn:
        sql = "SELECT sum(open_calls) AS n FROM jobs.usage_counted WHERE turn_id = %(turn_id)s"
        row = await fetch_one(conn, sql, {"turn_id": caller.account.turn_id})
    assert row is not None
    return row["n"] or 0


async def usage_of(database: Database, caller: Caller) -> Usage:
    async with database.connection() as conn:
        return await usage_of_turn(conn, caller.account.turn_id)


async def test_a_call_is_in_the_ledger_before_it_is_made_and_counted_after_it(
    database: Database, sim: SimulatorControl
) -> None:
    whose = {"job_id": 7, "user_id": "ann", "task_id": 3, "project_id": "p", "agent": "helper"}
    async with one_run(database, sim.url, **whose) as caller:
        asking = asyncio.create_task(caller.ask(f'[[hold h]] {USED} [[tool Bash {{"command": "ls"}}]]'))
        await sim.wait_for_request(holding="h")
        assert await open_calls(database, caller) == 1
        before = await caller.used()
        assert (before.calls, before.estimated_calls) == (1, 1)
        assert before.input_tokens > 0
        await sim.release("h")
        await asking
        assert caller.run.used.cost_usd == COST
    used = await caller.used()
    assert await open_calls(database, caller) == 0
    assert (used.calls, used.estimated_calls, used.tool_calls) == (1, 0, 1)
    assert (used.input_tokens, used.output_tokens, used.cache_read_tokens) == (1_000, 100, 10_000)
    assert used.cost_usd == COST
    assert used.duration_s > 0
    async with database.connection() as conn:
        row = await fetch_one(conn, "SELECT * FROM jobs.usage")
    assert row is not None
    assert {name: row[name] for name in whose} == whose
    assert (row["model"], row["session_id"], row["guessed_price"]) == (MODEL, caller.session_id, False)


async def test_calls_of_several_models_side_by_side_are_all_counted(database: Database, sim: SimulatorControl) -> None:
    models = [MODEL, "claude-opus-5", "claude-next"] * 4
    async with one_run(database, sim.url) as caller:
        await asyncio.gather(*(caller.ask(USED, model=model) for model in models))
    async with database.connection() as conn:
        rows = await db.fetch(conn, "SELECT model, calls, input_tokens, guessed_price FROM jobs.usage ORDER BY model")
    assert [(row["model"], row["calls"], row["input_tokens"], row["guessed_price"]) for row in rows] == [
        ("claude-next", 4, 4_000, True),
        ("claude-opus-5", 4, 4_000, False),
        (MODEL, 4, 4_000, False),
    ]
    assert (await caller.used()).cost_usd == caller.run.used.cost_usd


async def test_while_the_ledger_is_down_no_call_is_made(database: Database, sim: SimulatorControl) -> None:
    async with one_run(database, sim.url) as caller:
        async with database.connection() as conn:
            await execute(conn, "ALTER TABLE jobs.usage RENAME TO away")
        refused = await caller.ask()
        assert (refused.status_code, refused.headers["x-should-retry"]) == (503, "false")
        assert await sim.requests() == []
        assert isinstance(caller.run.refused, Exception)
        assert "usage" in str(caller.run.refused)
        async with database.connection() as conn:
            await execute(conn, "ALTER TABLE jobs.away RENAME TO usage")
        assert (await caller.ask()).status_code == 200


async def test_a_database_that_cannot_be_reached_is_told_as_such(database: Database, sim: SimulatorControl) -> None:
    """So that the run ends as one that is only to be repeated."""
    async with Database(database.dsn, name="proxy's") as own, one_run(own, sim.url) as caller:
        await own._pool.close()
        assert (await caller.ask()).status_code == 503
        assert caller.run.refused is not None
        assert db.will_pass(caller.run.refused)
    assert await sim.requests() == []


@pytest.mark.direct("it ends connections by their names")
async def test_what_a_call_used_is_written_once_the_ledger_is_back(database: Database, sim: SimulatorControl) -> None:
    """The statement that writes it waits for a lock when its connection is ended."""
    async with (
        Database(database.dsn, name="of the proxy") as own,
        one_run(own, sim.url) as caller,
        await database.connect("other") as conn,
    ):
        asking = asyncio.create_task(caller.ask(f"[[hold h]] {USED}"))
        await sim.wait_for_request(holding="h")
        waiting = "application_name LIKE 'of the proxy%' AND wait_event_type = 'Lock'"
        async with conn.transaction():
            await execute(conn, "LOCK TABLE jobs.usage")
            await sim.release("h")
            assert (await asking).status_code == 200, "an answer does not wait for the ledger"
            async with database.connection() as third, asyncio.timeout(30):
                while not await fetch_one(third, f"SELECT pid FROM pg_stat_activity WHERE {waiting}"):
                    await asyncio.sleep(0.01)
                await execute(third, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {waiting}")
        async with asyncio.timeout(30):
            while await open_calls(database, caller):
                await asyncio.sleep(0.01)
    used = await usage_of(database, caller)
    assert (used.calls, used.estimated_calls, used.cost_usd) == (1, 0, COST)


async def test_a_call_whose_recording_nobody_heard_of_is_counted_once(
    database: Database, sim: SimulatorControl
) -> None:
    """The connection is lost with the answer to the statement: whether it was committed is not known."""
    async with cut_off(database.dsn) as way, Database(way.dsn, name="proxy's") as own, one_run(own, sim.url) as caller:
        way.lose_answer_to = b"SET\n    open_calls = open_calls -"
        await caller.ask(USED)
        async with asyncio.timeout(30):
            while not way.lost or await open_calls(database, caller):
                await asyncio.sleep(0.01)
    used = await usage_of(database, caller)
    assert (used.calls, used.cost_usd) == (1, COST)


async def test_a_call_that_may_be_in_the_ledger_or_not_is_not_made_and_costs_nothing(
    database: Database, sim: SimulatorControl
) -> None:
    async with cut_off(database.dsn) as way, Database(way.dsn, name="proxy's") as own, one_run(own, sim.url) as caller:
        way.lose_answer_to = b"INSERT INTO"
        assert (await caller.ask(USED)).status_code == 503
        assert way.lost == 1
    used = await usage_of(database, caller)
    assert (used.calls, used.estimated_calls, used.cost_usd) == (1, 0, 0)
    assert await sim.requests() == []


async def test_a_run_that_lost_its_session_makes_no_more_calls(database: Database, sim: SimulatorControl) -> None:
    async with one_run(database, sim.url) as caller:
        assert (await caller.ask(USED)).status_code == 200
        async with database.transaction() as conn:
            await take_session(conn, caller.session_id)
        assert (await caller.ask(USED)).status_code == 403
        assert isinstance(caller.run.refused, LeaseLost)
    assert len(await sim.requests()) == 1
    assert (await caller.used()).calls == 1


async def test_a_run_begins_no_call_while_another_takes_its_session(database: Database, sim: SimulatorControl) -> None:
    """The take is not committed yet when the call asks: it is waited for."""
    async with one_run(database, sim.url) as caller, await database.connect("other") as other:
        async with other.transaction():
            await take_session(other, caller.session_id)
            asking = asyncio.create_task(caller.ask())
            async with database.connection() as conn, asyncio.timeout(30):
                waits = (
                    "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
                while not await fetch_one(conn, waits):
                    await asyncio.sleep(0.01)
        assert (await asking).status_code == 403
    assert await sim.requests() == []


async def test_a_run_of_a_session_that_another_has_taken_does_not_begin(
    database: Database, sim: SimulatorControl
) -> None:
    async with proxied(database, sim.url) as proxy, calling(proxy, database) as caller:
        with pytest.raises(LeaseLost):
            async with proxy.run(caller.account, caller.session_id, caller.epoch + 1):
                pass


async def test_what_a_crash_left_open_is_estimated_by_the_turn_s_next_run(
    database: Database, sim: SimulatorControl
) -> None:
    turn_id, cut = uuid4(), OpenCall("crashed", MODEL, 5_000, 1_000)
    async with proxied(database, sim.url) as proxy:
        async with calling(proxy, database, turn_id=turn_id) as first:
            async with database.connection() as conn:
                assert await open_call(conn, first.account, first.session_id, first.epoch, cut)
                await age_calls(conn, 60)
            assert (await first.used()).cost_usd == ESTIMATED, "open calls are counted"
        async with calling(proxy, database, turn_id=turn_id, session_id=first.session_id, token=2) as second:
            await second.ask(USED)
        used = await second.used()
    assert await open_calls(database, second) == 0
    assert (used.calls, used.estimated_calls) == (2, 1)
    assert (used.input_tokens, used.output_tokens) == (6_000, 1_100)
    assert used.cost_usd == ESTIMATED + COST


async def test_a_process_that_begins_closes_what_nobody_runs_again(database: Database, sim: SimulatorControl) -> None:
    cut = OpenCall("crashed", MODEL, 5_000, 1_000)
    async with one_run(database, sim.url) as old, database.connection() as conn:
        await open_call(conn, old.account, old.session_id, old.epoch, cut)
        for age_s, left_open in ((3_500, 1), (200, 0)):
            await age_calls(conn, age_s)
            async with one_run(database, sim.url):
                assert await open_calls(database, old) == left_open


async def test_past_its_cap_a_run_makes_no_call(database: Database, sim: SimulatorControl) -> None:
    async with one_run(database, sim.url, cap_usd=COST + usd("0.001")) as caller:
        assert [(await caller.ask(USED)).status_code for _ in range(3)] == [200, 200, 403]
        assert isinstance(caller.run.refused, BudgetExhausted)
        assert caller.run.refused.spent_usd == 2 * COST
    assert len(await sim.requests()) == 2


async def test_what_the_same_claim_spent_before_counts(database: Database, sim: SimulatorControl) -> None:
    turn_id = uuid4()
    async with proxied(database, sim.url) as proxy:
        async with calling(proxy, database, turn_id=turn_id) as first:
            await first.ask(USED)
        again = {"turn_id": turn_id, "session_id": first.session_id, "cap_usd": COST}
        async with calling(proxy, database, **again) as second:
            assert (await second.ask(USED)).status_code == 403
        async with calling(proxy, database, **again, token=2) as third:
            assert (await third.ask(USED)).status_code == 200


@pytest.mark.parametrize("cap", ["0.0001", "0.012", "0.03"])
async def test_side_by_side_calls_pass_the_cap_by_less_than_one_answer(
    database: Database, sim: SimulatorControl, cap: str
) -> None:
    """Ten at once, as of subagents; each answer costs about as much as it can."""
    dear = '[[usage {"input_tokens": 10, "output_tokens": 1000}]] [[text Ok.]]'
    async with one_run(database, sim.url, cap_usd=Decimal(cap)) as caller:
        answers = await asyncio.gather(*(caller.ask(dear) for _ in range(10)))
    used = await caller.used()
    made = sum(answer.status_code == 200 for answer in answers)
    one = used.cost_usd / made
    assert made == len(await sim.requests())
    assert Decimal(cap) <= used.cost_usd < Decimal(cap) + one
    assert {answer.status_code for answer in answers} == {200, 403}


async def test_of_a_stream_that_breaks_off_what_was_seen_is_counted(database: Database, sim: SimulatorControl) -> None:
    request = body(f"[[text {'x' * 4_000}]] [[hold h]] [[reset]]")
    async with one_run(database, sim.url) as caller:
        async with caller.client.stream("POST", "/v1/messages", json=request) as answer:
            chunks, seen = answer.aiter_bytes(), 0
            while seen < 4_000:  # what lies unread where the reset comes is lost
                seen += (await anext(chunks)).count(b"x")
            await sim.release("h")
            with pytest.raises(httpx.ReadError):
                async for _ in chunks:
                    pass
        used = await caller.recorded(lambda used: used.duration_s > 0)
    assert used.estimated_calls == 1
    assert 800 < used.output_tokens < 1_300
