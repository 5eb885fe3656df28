"""`ask_agent`: one turn of an agent that comes to a value, for a handler of one's own; what lies outside is scripted."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, Field

from assistant.notifications import list_notifications
from assistant.owner_alarms import TELL_OWNER
from cli.table import bind_agents
from handlers import hello
from jobs_core import (
    AnyJob,
    Complete,
    ConfigurationError,
    Connection,
    ConnectionFailed,
    Database,
    Fail,
    HandlerTable,
    Jobs,
    LeaseLost,
    Outcome,
    Retry,
    Snooze,
    Wait,
    execute,
    fetch,
)
from jobs_core.settle import settle
from sessions import (
    AgentBroke,
    AgentSetup,
    Asked,
    BudgetExhausted,
    CredentialsRefused,
    ModelUnavailable,
    RateLimited,
    TurnEnd,
    TurnFailed,
    ask_agent,
    create_session,
)
from sessions.agent_handlers import heed_provider
from sessions.budgets import Scope
from sessions.caps import raise_cap, set_cap
from sessions.conversation import DeferredCall
from sessions.events import TurnEvent
from sessions.model_run import OWN_TROUBLE_AFTER
from sessions.provider import FAILURES, FIRST_FOR_PEOPLE_S, look
from sessions.store import append_transcript
from tests.database.conftest import NextRun
from tests.support.budgets import account, spend
from tests.support.job_types import NOTE

AGENT = AgentSetup("You sort mail.")
DAY = Scope("day")
VALUE = {"folder": "tax", "urgency": 2}


class Sorted(BaseModel):
    """Where a letter goes."""

    folder: str
    urgency: int = Field(ge=0, le=3)


@dataclass
class Sessions:
    """Stands in for ClaudeSessions: each turn comes to `end`, unless it raises."""

    end: TurnEnd = field(default_factory=lambda: TurnEnd("", None, "asked", structured=VALUE))
    raises: Exception | None = None
    meanwhile: Callable[[], Awaitable[Any]] | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def run_turn(self, **arguments: Any) -> TurnEnd:
        self.asked.append(arguments)
        if self.meanwhile:
            await self.meanwhile()
        if self.raises:
            raise self.raises
        return self.end


Ask = Callable[[], Coroutine[Any, Any, Asked[Sorted]]]
Handle = Callable[[AnyJob, Ask], Awaitable[Any]]


async def keep(job: AnyJob, ask: Ask) -> Outcome:
    """What a handler does that has nothing else to do."""
    return Complete({}, also=(await ask()).end)


async def run(
    job: AnyJob, database: Database, sessions: Sessions, handle: Handle = keep, *, heed: bool = True, **how: Any
) -> Outcome:
    """Run a job whose handler may ask, and settle it; returns its outcome. heed: as a worker binds it."""
    table, given = HandlerTable(), sessions
    job_type = replace(NOTE, name=job.job_type)

    async def handler(job: AnyJob) -> Any:
        async def ask() -> Asked[Sorted]:
            stand_in: Any = given
            return await ask_agent(job, "Where to?", Sorted, database=database, sessions=stand_in, agent=AGENT, **how)

        return await handle(job, ask)

    table.register_handler(job_type, handler)
    if heed:
        heed_provider(table, job_type.name, database=database, alarms=TELL_OWNER)
    called: Any = table.handler(job_type.name)
    outcome: Outcome = await called(job)
    async with database.connection() as conn:
        await settle(conn, job, outcome, job_type)
    return outcome


async def again(conn: Connection, next_run: NextRun) -> AnyJob:
    """The next run of the only job, however long it would wait and whatever is paused."""
    await execute(conn, "UPDATE jobs.jobs SET ready_seq = nextval('jobs.ready_seq') WHERE state = 'pending'")
    await execute(conn, "DELETE FROM jobs.pauses")
    return await next_run()


async def row(conn: Connection) -> tuple[str, int]:
    """The only job's state, and the retries that it has spent."""
    (found,) = await fetch(conn, "SELECT state, retry_count FROM (TABLE jobs.jobs) AS j") or await fetch(
        conn, "SELECT state, retry_count FROM jobs.history"
    )
    return found["state"], found["retry_count"]


async def test_the_value_is_kept_with_the_end_of_its_turn(job: AnyJob, database: Database, conn: Connection) -> None:
    sessions, values = Sessions(), list[Asked[Sorted]]()

    async def handle(_: AnyJob, ask: Ask) -> Outcome:
        values.append(await ask())
        return Complete({}, also=values[0].end)

    await run(job, database, sessions, handle)
    assert values[0].value == Sorted(folder="tax", urgency=2)
    assert sessions.asked[0]["agent"].result_schema == Sorted.model_json_schema()
    assert sessions.asked[0]["agent"].system_prompt == AGENT.system_prompt
    (turn,) = await fetch(conn, "SELECT * FROM jobs.turns")
    assert (turn["id"], turn["session_id"], turn["job_id"]) == (values[0].turn_id, values[0].session_id, job.id)
    assert turn["ended_at"]
    assert (await look(conn)).succeeded_at


async def test_a_later_run_goes_on_with_the_turn_that_the_job_began(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions = Sessions()

    async def not_yet(_: AnyJob, ask: Ask) -> Outcome:
        await ask()
        return Snooze(NOTE.give_up_after * 0)

    await run(job, database, sessions, not_yet)
    await run(await next_run(), database, sessions)
    first, second = sessions.asked
    assert [first[name] == second[name] for name in ("turn_id", "session_id", "epoch")] == [True, True, False]
    with pytest.raises(LeaseLost):
        await run(job, database, sessions)
    assert len(sessions.asked) == 2
    assert len(await fetch(conn, "SELECT FROM jobs.sessions")) == 1


async def test_jobs_may_share_a_session(
    job: AnyJob, database: Database, conn: Connection, jobs: Jobs, next_run: NextRun
) -> None:
    sessions, session_id = Sessions(), uuid4()
    await create_session(conn, session_id)
    await run(job, database, sessions, session_id=session_id)
    await jobs.create(NOTE, {})
    await run(await next_run(), database, sessions, session_id=session_id)
    assert [asked["session_id"] for asked in sessions.asked] == [session_id] * 2
    assert len({asked["turn_id"] for asked in sessions.asked}) == 2


def page() -> dict[str, Any]:
    """The handler of docs/chats.md, as a module."""
    text = (Path(__file__).parents[2] / "docs" / "chats.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    module: dict[str, Any] = {"__name__": "docs"}
    exec(code, module)
    return module


@pytest.mark.parametrize(
    ("sessions", "becomes"),
    [
        (Sessions(), Complete),
        (Sessions(TurnEnd("", None, "asked", structured=VALUE | {"urgency": 9})), Fail),
        (Sessions(raises=RateLimited("429")), Snooze),
        (Sessions(raises=AgentBroke("it died")), Retry),
    ],
)
async def test_the_handler_in_the_docs_does_what_they_say(
    job: AnyJob, database: Database, monkeypatch: pytest.MonkeyPatch, sessions: Sessions, becomes: type
) -> None:
    """docs/chats.md: it says nothing of what may go wrong; `bind_agents` binds it as a worker does."""
    table, module = HandlerTable(), page()
    module["register"](table)
    assert table.runnable == []
    monkeypatch.setattr(hello, "register_agents", module["register_agents"], raising=False)
    stand_in: Any = sessions
    bind_agents("", table, database=database, sessions=stand_in, wake=list)
    assert table.is_async("sort")
    job.input = module["Letter"](text="Dear Sir")
    handle: Any = table.handler("sort")
    assert isinstance(await handle(job), becomes)


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (TurnEnd("", None, "asked", structured={"folder": "tax", "urgency": 9}), "is no Sorted: urgency: "),
        (TurnEnd("", None, "asked", structured={"urgency": 1}), "is no Sorted: folder: "),
        (TurnEnd("", None, "asked", deferred=DeferredCall("t", "Bash", {})), "called Bash"),
    ],
)
async def test_what_is_no_such_value_fails_the_job(job: AnyJob, database: Database, end: TurnEnd, says: str) -> None:
    outcome = await run(job, database, Sessions(end))
    assert isinstance(outcome, Fail)
    assert says in outcome.reason


@pytest.mark.parametrize(
    "met",
    [
        (RateLimited("429", retry_after_s=30), "paused"),
        (ModelUnavailable("529"), "open"),
        (CredentialsRefused("401"), "stopped"),
    ],
)
async def test_no_retry_is_spent_on_the_provider_s_troubles_and_all_hear_of_them(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun, met: tuple[Exception, str]
) -> None:
    error, state = met
    outcome = await run(job, database, Sessions(raises=error))
    assert isinstance(outcome, Snooze)
    assert await row(conn) == ("pending", 0)
    assert (await look(conn)).state == state
    assert [news.category for news in await list_notifications(conn)] == (["provider"] if state == "stopped" else [])
    pauses = await fetch(conn, "SELECT job_type, because FROM jobs.pauses")
    assert [tuple(pause.values()) for pause in pauses] == ([] if state == "open" else [("note", "provider")])
    if state != "open":
        other = Sessions()
        assert isinstance(await run(await again(conn, next_run), database, other), Snooze)
        assert other.asked == [], "while it is paused nobody asks"
        assert await row(conn) == ("pending", 0)


async def test_others_failures_in_a_row_pause_those_that_ask_too(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions = Sessions(raises=ModelUnavailable("529"))
    await run(job, database, sessions)
    for _ in range(FAILURES - 1):
        assert (await look(conn)).state == "open"
        await run(await again(conn, next_run), database, sessions)
    assert (await look(conn)).state == "paused"
    assert await row(conn) == ("pending", 0)


async def test_people_s_chats_come_first_then_one_run_tries_and_its_first_answer_lets_all_go_on(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions = Sessions(raises=RateLimited("429"))
    await run(job, database, sessions)
    sessions.raises = None
    await execute(conn, "UPDATE jobs.provider SET until = clock_timestamp()")
    outcome = await run(await again(conn, next_run), database, sessions)
    assert isinstance(outcome, Snooze)
    assert 0 < outcome.until.total_seconds() <= FIRST_FOR_PEOPLE_S  # type: ignore[union-attr]  # a span
    assert len(sessions.asked) == 1

    async def works() -> None:
        sessions.asked[-1]["on_event"](TurnEvent("tool_call", {}))

    sessions.meanwhile = works
    states = list[str]()

    async def handle(_: AnyJob, ask: Ask) -> Outcome:
        asked = await ask()
        states.append((await look(conn)).state)
        return Retry("of its own", also=asked.end)

    await execute(conn, "UPDATE jobs.provider SET until = clock_timestamp() - interval '10 s'")
    await run(await again(conn, next_run), database, sessions, handle)
    assert states == ["open"]


async def test_a_run_that_was_to_try_and_failed_by_itself_lets_another(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    await run(job, database, Sessions(raises=RateLimited("429")))
    await execute(conn, "UPDATE jobs.provider SET until = clock_timestamp() - interval '10 s'")
    await run(await again(conn, next_run), database, Sessions(raises=TurnFailed("refused")))
    now = await look(conn)
    assert (now.state, now.prober_job) == ("paused", None)


async def test_one_that_gets_no_answer_for_long_while_others_do_spends_retries(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions = Sessions(raises=ModelUnavailable("500"))
    await run(job, database, sessions)
    aged = "UPDATE jobs.jobs SET give_up_at = give_up_at - %(span)s - interval '1 min'"
    await execute(conn, aged, {"span": OWN_TROUBLE_AFTER})

    async def others() -> None:
        await execute(conn, "UPDATE jobs.provider SET succeeded_at = clock_timestamp(), failures = 0")

    sessions.meanwhile = others
    await run(await again(conn, next_run), database, sessions)
    assert await row(conn) == ("pending", 1)


async def test_what_is_put_back_for_too_long_is_given_up(job: AnyJob, database: Database, conn: Connection) -> None:
    job.give_up_at = job.claimed_at - NOTE.timeout
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = clock_timestamp() - interval '1 min'")
    await run(job, database, Sessions(raises=RateLimited("429")))
    assert (await row(conn))[0] == "failed"
    (ended,) = await fetch(conn, "SELECT error FROM jobs.history")
    assert "gave up" in ended["error"]
    assert (await look(conn)).state == "open"


async def test_an_outage_of_the_database_spends_no_retry(job: AnyJob, database: Database, conn: Connection) -> None:
    await run(job, database, Sessions(raises=ConnectionFailed[0]("gone")))
    assert await row(conn) == ("pending", 0)


async def test_a_step_that_was_done_is_not_done_again_after_the_provider_s_pause(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    """Nor is one that asks: its value is kept as any step's output is."""
    sessions, done = Sessions(raises=RateLimited("429")), list[str]()

    async def handle(job: AnyJob, ask: Ask) -> Outcome:
        await job.step("fetch", lambda: done.append("fetched"))

        async def sort() -> dict[str, Any]:
            return (await ask()).value.model_dump()

        value = await job.step("sort", sort, on_unknown="fail")
        await job.step("move", lambda: done.append(value["folder"]))
        return Retry("of its own") if len(sessions.asked) < 3 and done.count("tax") == 1 and not moved else Complete({})

    moved = list[bool]()
    await run(job, database, sessions, handle)
    assert (done, await row(conn)) == (["fetched"], ("pending", 0))
    sessions.raises = None
    await execute(conn, "DELETE FROM jobs.provider")
    await run(await again(conn, next_run), database, sessions, handle)
    assert (done, await row(conn)) == (["fetched", "tax"], ("pending", 1))
    moved.append(True)
    await run(await again(conn, next_run), database, sessions, handle)
    assert (done, await row(conn)) == (["fetched", "tax"], ("complete", 1))
    assert len(sessions.asked) == 2


async def retry(_: AnyJob, ask: Ask) -> Outcome:
    """As one might."""
    try:
        return Complete({}, also=(await ask()).end)
    except Exception as error:  # noqa: BLE001 - that is the case
        return Retry(str(error))


async def try_for_long(_: AnyJob, ask: Ask) -> Outcome:
    """As nobody should."""
    for _attempt in range(3):
        try:
            return Complete({}, also=(await ask()).end)
        except BaseException:  # noqa: BLE001 - that is the case
            continue
    return Fail("it never answers")


async def gather(_: AnyJob, ask: Ask) -> Outcome:
    """Several things at once, of which one asks."""
    asked, _other = await asyncio.gather(ask(), asyncio.sleep(0), return_exceptions=True)
    if not isinstance(asked, Asked):
        raise RuntimeError("that one did not work")  # noqa: TRY004 - what handlers raise
    return Complete({}, also=asked.end)


async def group(_: AnyJob, ask: Ask) -> Outcome:
    """Likewise."""
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(ask())
        tasks.create_task(asyncio.sleep(0))
    return Complete({}, also=asked.result().end)


@pytest.mark.parametrize("handle", [retry, try_for_long, gather, group])
async def test_a_handler_that_catches_too_much_changes_nothing(
    job: AnyJob, database: Database, conn: Connection, handle: Handle
) -> None:
    """No retry is spent, the model is asked once, and what that cost is booked once."""
    await set_cap(conn, DAY, Decimal(10), set_by="a test")
    sessions = Sessions(raises=RateLimited("429"))

    async def cost() -> None:
        await spend(conn, sessions.asked[-1]["turn_id"], job.token, "0.5")

    sessions.meanwhile = cost
    await run(job, database, sessions, handle)
    assert await row(conn) == ("pending", 0)
    assert len(sessions.asked) == 1
    assert await account(conn, "day") == (Decimal("0.5"), 0)


async def test_a_handler_that_does_without_the_answer_may_complete(
    job: AnyJob, database: Database, conn: Connection
) -> None:
    async def handle(_: AnyJob, ask: Ask) -> Outcome:
        with suppress(BaseException):
            await ask()
        return Complete({})

    await run(job, database, Sessions(raises=RateLimited("429")), handle)
    assert (await row(conn))[0] == "complete"


async def test_without_its_binding_a_handler_cannot_ask(job: AnyJob, database: Database) -> None:
    with pytest.raises(ConfigurationError, match="register_agents"):
        await run(job, database, Sessions(), heed=False)


@pytest.mark.parametrize("error", [AgentBroke("it died"), TurnFailed("refused"), None])
async def test_what_a_run_has_spent_is_booked_however_it_ends(
    job: AnyJob, database: Database, conn: Connection, error: Exception | None
) -> None:
    await set_cap(conn, DAY, Decimal(10), set_by="a test")
    sessions = Sessions(raises=error)

    async def cost() -> None:
        await spend(conn, sessions.asked[-1]["turn_id"], job.token, "0.5")
        assert await account(conn, "day") == (0, 5)

    sessions.meanwhile = cost
    await run(job, database, sessions)
    assert await account(conn, "day") == (Decimal("0.5"), 0)


async def test_past_a_budget_the_job_waits_and_goes_on_when_more_is_approved(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions = Sessions()
    await set_cap(conn, DAY, Decimal(0), set_by="a test")
    assert isinstance(await run(job, database, sessions), Wait)
    assert await row(conn) == ("waiting", 0)
    assert sessions.asked == []
    (news,) = await list_notifications(conn)
    assert (news.user_id, news.category) == (None, "budget")
    async with conn.transaction():
        await raise_cap(conn, DAY, Decimal(1), set_by="a test")
    job = await next_run()

    async def cost() -> None:
        await spend(conn, sessions.asked[-1]["turn_id"], job.token, "0.5")

    sessions.meanwhile = cost
    await run(job, database, sessions)
    assert sessions.asked[0]["account"].cap_usd == 1
    assert await account(conn, "day") == (Decimal("0.5"), 0)


async def test_a_run_that_has_spent_what_it_had_goes_on_with_another(
    job: AnyJob, database: Database, conn: Connection
) -> None:
    await run(job, database, Sessions(raises=BudgetExhausted(Decimal(1), Decimal(1))))
    assert await row(conn) == ("pending", 0)
    assert [one["reason"] for one in await fetch(conn, "SELECT reason FROM jobs.attempts")] == ["budget"]


@pytest.mark.parametrize("usd", [1, 100])
async def test_a_handler_that_asks_again_in_its_run_has_what_it_reserved_and_is_charged_once(
    job: AnyJob, database: Database, conn: Connection, usd: int
) -> None:
    """It would wait for its own money, or meet its own row."""
    await set_cap(conn, DAY, Decimal(usd), set_by="a test")
    sessions = Sessions(raises=AgentBroke("it died"))

    async def handle(job: AnyJob, ask: Ask) -> Outcome:
        with pytest.raises(AgentBroke):
            await ask()
        sessions.raises = None
        asked = await ask()
        await spend(conn, asked.turn_id, job.token, "0.5")
        return Complete({}, also=asked.end)

    await run(job, database, sessions, handle)
    first, second = sessions.asked
    assert first["account"] == second["account"]
    assert await account(conn, "day") == (Decimal("0.5"), 0)


async def test_a_value_that_is_on_record_needs_no_money_and_says_nothing_of_the_provider(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions = Sessions()
    await set_cap(conn, DAY, Decimal(1), set_by="a test")

    async def cost() -> None:
        asked = sessions.asked[-1]
        await spend(conn, asked["turn_id"], job.token, "1")
        value = {"type": "attachment", "uuid": "2", "attachment": {"type": "structured_output", "data": {}}}
        async with conn.transaction():
            entries = [{"type": "user", "uuid": str(asked["turn_id"])}, value]
            await append_transcript(conn, asked["session_id"], asked["epoch"], entries)

    sessions.meanwhile, sessions.raises = cost, AgentBroke("it died behind its answer")
    await run(job, database, sessions)
    sessions.meanwhile = sessions.raises = None
    sessions.end = replace(sessions.end, source="recorded")
    await run(await again(conn, next_run), database, sessions)
    assert (await row(conn))[0] == "complete"
    assert [asked["account"].cap_usd for asked in sessions.asked] == [1, 0]
    assert await account(conn, "day") == (1, 0)
    assert (await look(conn)).succeeded_at is None
