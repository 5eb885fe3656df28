"""`ask_agent`: one turn of an agent that comes to a value, for a handler of one's own; what lies outside is scripted."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cli.table import bind_agents, build_table
from handlers import hello
from jobs_core import (
    AnyJob,
    Complete,
    ConfigurationError,
    Connection,
    Database,
    Fail,
    Jobs,
    LeaseLost,
    Outcome,
    Retry,
    Snooze,
    fetch,
)
from sessions import AgentBroke, Asked, RateLimited, TurnEnd, create_session
from sessions.conversation import DeferredCall
from sessions.provider import look
from tests.database.conftest import NextRun
from tests.support.asking import AGENT, VALUE, Ask, Sessions, Sorted, run
from tests.support.job_types import NOTE


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
    table, module = build_table(), page()
    module["register"](table)
    assert "sort" not in table.runnable
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


async def test_without_its_binding_a_handler_cannot_ask(job: AnyJob, database: Database) -> None:
    with pytest.raises(ConfigurationError, match="register_agents"):
        await run(job, database, Sessions(), heed=False)
