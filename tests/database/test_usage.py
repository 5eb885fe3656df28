"""The usage ledger as rows: calls counted once whoever closes them, totals by whom or what, and the check by transcripts."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from jobs_core import Connection, Database, Jobs, execute, fetch, fetch_one
from sessions import RunAccount, Usage, create_session, take_session
from sessions.store import append_transcript
from sessions.usage import BY, By, OpenCall, close_call, close_open_calls, open_call, spent, totals, usage_of_turn
from sessions.usage_check import check_session, differs_from_result
from tests.support.model_proxy import MODEL, age_calls, usd
from tests.support.web import calling, door, error_of

USED = Usage(1, 0, input_tokens=10, output_tokens=20, cache_read_tokens=30, cache_write_tokens=40, cost_usd=usd("0.5"))


@pytest.fixture
async def session_id(conn: Connection) -> UUID:
    """A session under epoch 1."""
    await create_session(conn, session_id := uuid4())
    await take_session(conn, session_id)
    return session_id


def account(**whose: Any) -> RunAccount:
    return RunAccount(**{"turn_id": uuid4(), "token": 1, **whose})


ESTIMATED = usd("2.5") + usd("0.0005")
"""A million tokens written to the cache, and 50 tokens out, which half a second makes."""


def a_call(name: str = "one", model: str = MODEL) -> OpenCall:
    return OpenCall(name, model, 1_000_000, 50)


async def use(conn: Connection, session_id: UUID, whose: RunAccount, model: str = MODEL, used: Usage = USED) -> None:
    call = a_call(uuid4().hex, model)
    assert await open_call(conn, whose, session_id, 1, call)
    assert await close_call(conn, whose, call, used)


async def test_a_call_is_counted_once_however_often_it_is_closed(conn: Connection, session_id: UUID) -> None:
    whose = account()
    await open_call(conn, whose, session_id, 1, a_call("one"))
    await open_call(conn, whose, session_id, 1, a_call("two"))
    assert [await close_call(conn, whose, a_call("one"), USED) for _ in range(3)] == [True, False, False]
    await age_calls(conn, 10)
    assert await close_open_calls(conn, whose.turn_id) == 1
    assert await close_open_calls(conn, whose.turn_id) == 0
    assert not await close_call(conn, whose, a_call("two"), USED), "the estimate stands"
    used = await usage_of_turn(conn, whose.turn_id)
    assert (used.calls, used.estimated_calls, used.cost_usd) == (2, 1, ESTIMATED + usd("0.5"))
    assert (used.input_tokens, used.output_tokens) == (1_000_010, 70)


async def test_an_open_call_is_estimated_by_how_long_it_can_have_gone_on(conn: Connection, session_id: UUID) -> None:
    whose, call = account(), OpenCall("one", MODEL, 1_000, 64_000)
    await open_call(conn, whose, session_id, 1, call)
    await age_calls(conn, 20)
    used = await usage_of_turn(conn, whose.turn_id)
    assert (used.estimated_calls, used.input_tokens) == (1, 1_000)
    assert 2_000 <= used.output_tokens < 5_000
    assert used.cost_usd == usd("0.0025") + used.output_tokens * usd("0.00001")
    await age_calls(conn, 3_600)
    assert (await usage_of_turn(conn, whose.turn_id)).output_tokens == 12_000


async def test_where_the_clock_was_set_back_an_open_call_costs_what_went_in(conn: Connection, session_id: UUID) -> None:
    """A standby that takes over may be behind; a turn that costs less than nothing could never be settled."""
    whose, call = account(), OpenCall("one", MODEL, 1_000, 64_000)
    await open_call(conn, whose, session_id, 1, call)
    await age_calls(conn, -3_600)
    assert await spent(conn, whose.turn_id, 1) == usd("0.0025")
    await close_open_calls(conn, whose.turn_id)
    used = await usage_of_turn(conn, whose.turn_id)
    assert (used.output_tokens, used.cost_usd) == (0, usd("0.0025"))


async def test_of_two_that_close_at_once_one_counts(
    conn: Connection, other: Connection, database: Database, session_id: UUID
) -> None:
    whose = account()
    for name in ("one", "two"):
        await open_call(conn, whose, session_id, 1, a_call(name))
    await age_calls(conn, 10)
    async with conn.transaction():
        await close_open_calls(conn, whose.turn_id)
        late = asyncio.create_task(close_open_calls(other, whose.turn_id))
        async with database.connection() as third, asyncio.timeout(30):
            while not await fetch_one(third, "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                await asyncio.sleep(0.01)
    assert await late == 0
    assert await spent(conn, whose.turn_id, 1) == 2 * ESTIMATED


async def test_an_open_call_counts_for_its_run_only(conn: Connection, session_id: UUID) -> None:
    whose = account()
    await open_call(conn, whose, session_id, 1, a_call())
    await age_calls(conn, 10)
    assert await spent(conn, whose.turn_id, 1) == ESTIMATED
    assert await spent(conn, whose.turn_id, 2) == 0
    assert (await usage_of_turn(conn, uuid4())).calls == 0


async def test_who_lost_the_session_opens_no_call(conn: Connection, session_id: UUID) -> None:
    await take_session(conn, session_id)
    assert not await open_call(conn, account(), session_id, 1, a_call())
    assert await open_call(conn, account(), session_id, 2, a_call())
    assert not await open_call(conn, account(), uuid4(), 1, a_call()), "there is no such session"


async def shown(conn: Connection, by: By, **when: Any) -> list[tuple[str | None, int, int, str]]:
    return [
        (total.name, total.turns, total.usage.calls, f"{total.usage.cost_usd:.2f}")
        for total in await totals(conn, by, **when)
    ]


async def test_usage_is_added_up_by_whom_and_what(conn: Connection, session_id: UUID) -> None:
    ann = account(user_id="ann", project_id="p", agent="a", job_id=1, task_id=9)
    await use(conn, session_id, ann)
    await use(conn, session_id, ann, "claude-next")
    await use(conn, session_id, account(turn_id=ann.turn_id, token=2, user_id="ann", job_id=1))
    await use(conn, session_id, account(user_id="bob", project_id="p", job_id=2))
    assert await shown(conn, "user") == [("ann", 1, 3, "1.50"), ("bob", 1, 1, "0.50")]
    assert await shown(conn, "project") == [("p", 2, 3, "1.50"), (None, 1, 1, "0.50")]
    assert await shown(conn, "agent") == [("a", 1, 2, "1.00"), (None, 2, 2, "1.00")]
    assert await shown(conn, "job") == [("1", 1, 3, "1.50"), ("2", 1, 1, "0.50")]
    assert await shown(conn, "task") == [("9", 1, 2, "1.00"), (None, 2, 2, "1.00")]
    assert await shown(conn, "session") == [(str(session_id), 2, 4, "2.00")]
    assert await shown(conn, "model") == [(MODEL, 2, 3, "1.50"), ("claude-next", 1, 1, "0.50")]
    assert {total.name: total.guessed_price for total in await totals(conn, "model")} == {
        MODEL: False,
        "claude-next": True,
    }
    assert await shown(conn, "model", limit=1) == [(MODEL, 2, 3, "1.50")]


async def test_a_total_estimates_nothing_where_no_call_is_open(conn: Connection, session_id: UUID) -> None:
    """Each estimate costs 7 µs: seconds, for a month's rows."""
    for _ in range(3):
        await use(conn, session_id, account())
    plan = "EXPLAIN (ANALYZE, TIMING off) SELECT sum(cost_usd) FROM jobs.usage_counted"
    (asked,) = [line for row in await fetch(conn, plan) if "Function Scan" in (line := row["QUERY PLAN"])]
    assert "(never executed)" in asked


async def test_days_are_those_of_utc_newest_first(conn: Connection, session_id: UUID) -> None:
    for _ in range(3):
        await use(conn, session_id, account())
    for n, began in enumerate(("2026-03-01 23:59:59Z", "2026-03-02 00:00:00Z", "2026-03-02 12:00:00Z")):
        sql = """
            UPDATE jobs.usage SET began_at = %(began)s
            WHERE turn_id = (SELECT turn_id FROM jobs.usage ORDER BY turn_id LIMIT 1 OFFSET %(n)s)
        """
        await execute(conn, sql, {"began": began, "n": n})
    assert await shown(conn, "day") == [("2026-03-02", 2, 2, "1.00"), ("2026-03-01", 1, 1, "0.50")]
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert await shown(conn, "day", since=noon) == [("2026-03-02", 1, 1, "0.50")]
    assert len(await shown(conn, "day", until=noon)) == 2


def answer(message_id: str, output: int, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 10, "output_tokens": output, "cache_read_input_tokens": 30} | {
        "cache_creation_input_tokens": 40
    }
    message = {"id": message_id, "model": MODEL, "usage": usage, **more}
    return {"type": "assistant", "uuid": str(uuid4()), "message": message}


async def store(conn: Connection, session_id: UUID, *entries: dict[str, Any], subpath: str = "") -> None:
    async with conn.transaction():
        await append_transcript(conn, session_id, 1, entries, subpath)


async def test_the_check_finds_the_same_in_the_transcript(conn: Connection, session_id: UUID) -> None:
    """Each message once, however many entries it has, and subagents' too; what the CLI wrote itself is no answer."""
    synthetic = answer("m0", 999, model="<synthetic>")
    await store(conn, session_id, answer("m1", 1), answer("m1", 20), synthetic, {"type": "user", "message": {}})
    await store(conn, session_id, answer("m2", 20), subpath="subagents/agent-1")
    for _ in range(2):
        await use(conn, session_id, account())
    found = await check_session(conn, session_id)
    assert (found.explained, found.why) == (True, [])
    assert (found.transcript.calls, found.transcript.output_tokens) == (2, 40)


@pytest.mark.parametrize(
    ("answers", "calls", "why"),
    [
        ([20], [USED, USED], "1 more calls than answers"),
        (
            [20],
            [Usage(1, 1, input_tokens=10, output_tokens=7)],
            "fewer output_tokens, cache_read_tokens, cache_write_tokens, which nothing explains",
        ),
        ([20, 20], [USED], "1 answers that the ledger has no call of"),
        ([21], [USED], "the ledger has fewer output_tokens, which nothing explains"),
        ([19], [USED], "the ledger has more output_tokens, which nothing explains"),
        ([19], [Usage(1, 1, 10, 20, 30, 40)], "1 calls were cut off"),
    ],
)
async def test_the_check_explains_what_differs(
    conn: Connection, session_id: UUID, answers: list[int], calls: list[Usage], why: str
) -> None:
    await store(conn, session_id, *(answer(f"m{n}", output) for n, output in enumerate(answers)))
    for used in calls:
        await use(conn, session_id, account(), used=used)
    found = await check_session(conn, session_id)
    assert why in "; ".join(found.why)
    assert found.explained is ("nothing explains" not in why)


def test_the_cli_s_own_sum_goes_on_from_the_state_it_was_resumed_with() -> None:
    before = [{"type": "cost-state", "totalCostUSD": 9.0}, {"type": "cost-state", "totalCostUSD": 1.25}, {"type": "x"}]
    assert differs_from_result(USED, 0.5, []) == differs_from_result(USED, 1.75, before) == ""
    assert differs_from_result(USED, None, before) == ""
    assert differs_from_result(USED, 2.0, before) == "the CLI counts 0.750000 US dollars, the ledger 0.500000"


async def test_the_door_adds_up(jobs: Jobs, conn: Connection, session_id: UUID) -> None:
    await use(conn, session_id, account(project_id="p"))
    async with calling(door(jobs)) as client:
        since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        answered = await client.get("/api/usage", params={"by": "project", "since": since})
        assert answered.status_code == 200, answered.text
        (row,) = answered.json()["usage"]
        assert (row["name"], row["turns"], row["cost_usd"], row["cache_read_tokens"]) == ("p", 1, 0.5, 30)
        assert (await client.get("/api/usage", params={"until": since})).json() == {"usage": []}
        for by in BY:
            assert (await client.get("/api/usage", params={"by": by})).status_code == 200
        for wrong in ({"by": "colour"}, {"since": "yesterday"}, {"limit": "0"}, {"colour": "red"}):
            error_of(await client.get("/api/usage", params=wrong), 422)
