"""`ask_agent`: one turn of an agent that comes to a value, for a handler of one's own."""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, Field

from jobs_core import AnyJob, Complete, Connection, Database, Fail, HandlerTable, Jobs, LeaseLost, Snooze, fetch
from jobs_core.settle import settle
from jobs_core.steps import Waiting
from sessions import AgentSetup, BudgetExhausted, ModelUnavailable, TurnEnd, TurnFailed, ask_agent, create_session
from sessions.budgets import Scope
from sessions.caps import raise_cap, set_cap
from sessions.conversation import DeferredCall
from sessions.store import append_transcript
from tests.database.conftest import NextRun
from tests.support.budgets import account, spend
from tests.support.job_types import NOTE

AGENT = AgentSetup("You sort mail.")


class Sorted(BaseModel):
    """Where a letter goes."""

    folder: str
    urgency: int = Field(ge=0, le=3)


@dataclass
class Sessions:
    """Stands in for ClaudeSessions: each turn comes to `end`."""

    end: TurnEnd = field(default_factory=lambda: TurnEnd("", None, "asked", structured={"folder": "tax", "urgency": 2}))
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def run_turn(self, **arguments: Any) -> TurnEnd:
        self.asked.append(arguments)
        return self.end


async def ask(job: AnyJob, database: Database, sessions: Sessions, **how: Any) -> Any:
    given: Any = sessions
    return await ask_agent(job, "Where to?", Sorted, database=database, sessions=given, agent=AGENT, **how)


async def test_the_value_is_kept_with_the_end_of_its_turn(job: AnyJob, database: Database, conn: Connection) -> None:
    sessions = Sessions()
    asked = await ask(job, database, sessions)
    assert asked.value == Sorted(folder="tax", urgency=2)
    assert sessions.asked[0]["agent"].result_schema == Sorted.model_json_schema()
    assert sessions.asked[0]["agent"].system_prompt == AGENT.system_prompt
    job_type: Any = NOTE
    await settle(conn, job, Complete({}, also=asked.end), job_type)
    (turn,) = await fetch(conn, "SELECT * FROM jobs.turns")
    assert (turn["id"], turn["session_id"], turn["job_id"]) == (asked.turn_id, asked.session_id, job.id)
    assert turn["ended_at"]


async def test_a_later_run_goes_on_with_the_turn_that_the_job_began(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions = Sessions()
    await ask(job, database, sessions)
    await settle(conn, job, Snooze(until=0 * (job.give_up_at - job.claimed_at)), NOTE)
    await ask(await next_run(), database, sessions)
    first, second = sessions.asked
    assert [first[name] == second[name] for name in ("turn_id", "session_id", "epoch")] == [True, True, False]
    with pytest.raises(LeaseLost):
        await ask(job, database, sessions)
    assert len(sessions.asked) == 2
    assert len(await fetch(conn, "SELECT FROM jobs.sessions")) == 1


async def test_jobs_may_share_a_session(
    job: AnyJob, database: Database, conn: Connection, jobs: Jobs, next_run: NextRun
) -> None:
    sessions, session_id = Sessions(), uuid4()
    await create_session(conn, session_id)
    await ask(job, database, sessions, session_id=session_id)
    await jobs.create(NOTE, {})
    await ask(await next_run(), database, sessions, session_id=session_id)
    assert [asked["session_id"] for asked in sessions.asked] == [session_id] * 2
    assert len({asked["turn_id"] for asked in sessions.asked}) == 2


@pytest.mark.parametrize("urgency", [2, 9])
async def test_the_handler_in_the_docs_does_what_they_say(job: AnyJob, database: Database, urgency: int) -> None:
    """docs/chats.md: a value completes the job, what is none fails it."""
    page = (Path(__file__).parents[2] / "docs" / "chats.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    module: dict[str, Any] = {"__name__": "docs"}
    exec(code, module)
    table = HandlerTable()
    module["register"](table)
    assert table.runnable == []
    end = TurnEnd("", None, "asked", structured={"folder": "tax", "urgency": urgency})
    module["register_agents"](table, database=database, sessions=Sessions(end))
    job.input = module["Letter"](text="Dear Sir")
    handle: Any = table.handler("sort")
    outcome = await handle(job)
    assert isinstance(outcome, Complete if urgency == 2 else Fail)


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (TurnEnd("", None, "asked", structured={"folder": "tax", "urgency": 9}), "is no Sorted: urgency: "),
        (TurnEnd("", None, "asked", structured={"urgency": 1}), "is no Sorted: folder: "),
        (TurnEnd("", None, "asked", deferred=DeferredCall("t", "Bash", {})), "called Bash"),
    ],
)
async def test_what_is_no_such_value_is_a_failure_of_the_turn(
    job: AnyJob, database: Database, end: TurnEnd, says: str
) -> None:
    with pytest.raises(TurnFailed, match=says):
        await ask(job, database, Sessions(end))


async def test_past_a_budget_the_job_waits_and_what_it_spent_is_booked_with_its_value(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions, day = Sessions(), Scope("day")
    await set_cap(conn, day, Decimal(0), set_by="a test")
    with pytest.raises(Waiting) as waiting:
        await ask(job, database, sessions)
    await settle(conn, job, waiting.value.outcome, NOTE)
    assert [row["state"] for row in await fetch(conn, "SELECT state FROM jobs.jobs")] == ["waiting"]
    assert sessions.asked == []
    async with conn.transaction():
        await raise_cap(conn, day, Decimal(1), set_by="a test")
    again = await next_run()
    asked = await ask(again, database, sessions)
    assert sessions.asked[0]["account"].cap_usd == 1
    await spend(conn, asked.turn_id, again.token, "0.5")
    await settle(conn, again, Complete({}, also=asked.end), NOTE)
    assert await account(conn, "day") == (Decimal("0.5"), 0)


async def test_a_run_that_has_spent_what_it_had_goes_on_with_another(
    job: AnyJob, database: Database, conn: Connection
) -> None:
    class Exhausted(Sessions):
        async def run_turn(self, **_: Any) -> TurnEnd:
            raise BudgetExhausted(Decimal(1), Decimal(1))

    with pytest.raises(Waiting) as waiting:
        await ask(job, database, Exhausted())
    assert (await settle(conn, job, waiting.value.outcome, NOTE)).state == "pending"


@pytest.mark.parametrize("usd", [1, 100])
async def test_a_handler_that_asks_again_in_its_run_has_what_it_reserved(
    job: AnyJob, database: Database, conn: Connection, usd: int
) -> None:
    """It would wait for its own money, or meet its own row."""

    class Unavailable(Sessions):
        async def run_turn(self, **arguments: Any) -> TurnEnd:
            await super().run_turn(**arguments)
            raise ModelUnavailable("529")

    await set_cap(conn, Scope("day"), Decimal(usd), set_by="a test")
    first, second = Unavailable(), Sessions()
    with pytest.raises(ModelUnavailable):
        await ask(job, database, first)
    asked = await ask(job, database, second)
    assert second.asked[0]["account"] == first.asked[0]["account"]
    await spend(conn, asked.turn_id, job.token, "0.5")
    await settle(conn, job, Complete({}, also=asked.end), NOTE)
    assert await account(conn, "day") == (Decimal("0.5"), 0)


async def test_a_value_that_is_on_record_needs_no_money(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions = Sessions()
    await set_cap(conn, Scope("day"), Decimal(1), set_by="a test")
    asked = await ask(job, database, sessions)
    await spend(conn, asked.turn_id, job.token, "1")
    value = {"type": "attachment", "uuid": "2", "attachment": {"type": "structured_output", "data": {}}}
    async with conn.transaction():
        entries = [{"type": "user", "uuid": str(asked.turn_id)}, value]
        await append_transcript(conn, asked.session_id, sessions.asked[0]["epoch"], entries)
    await settle(conn, job, Snooze(until=0 * (job.give_up_at - job.claimed_at)), NOTE)
    again = await next_run()
    await settle(conn, again, Complete({}, also=(await ask(again, database, sessions)).end), NOTE)
    assert [asked["account"].cap_usd for asked in sessions.asked] == [1, 0]
    assert await account(conn, "day") == (1, 0)
