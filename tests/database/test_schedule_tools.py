"""The owner's tools for schedules: for the run's person only, made once, and asked about before they spend or destroy."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

import schedules
from assistant import agents, policy
from assistant.agent_schedules import save
from assistant.people import User
from assistant.preferences import Preferences
from assistant.routing import set_preferences
from assistant.schedule_drafts import read
from assistant.scheduled_turns import SCHEDULED_TURN
from assistant.tools import RunContext, tools_for
from jobs_core import AnyJob, Connection, Database, HandlerTable, InvalidInput, LeaseLost, Snooze, execute
from jobs_core.settle import settle
from sessions import ToolRefused, shown_names
from tests.support.job_types import NOTE
from tests.support.tool_calls import ADA, OWNER, THEY_ARE_KNOWN, call

Of = Callable[[User], RunContext]
FIRST, SECOND = UUID(int=1), UUID(int=2)
NINE = {"cron": "0 9 * * mon-fri"}
MORNING = NINE | {"name": "morning", "prompt": "What is on today?"}


@pytest.fixture
async def of(database: Database, conn: Connection, job: AnyJob) -> Of:
    """A person's run of one turn, by an agent called `clerk`."""
    await execute(conn, THEY_ARE_KNOWN)
    turn_id = uuid4()
    return lambda person: RunContext(database, person, "web_1", turn_id, job, agent="clerk")


@pytest.fixture
async def clerk(conn: Connection) -> None:
    async with conn.transaction():
        await agents.add(conn, "clerk", {})


@pytest.mark.usefixtures("clerk")
async def test_a_schedule_is_for_the_run_s_person_and_asks_the_run_s_agent_in_the_person_s_zone(
    of: Of, conn: Connection
) -> None:
    async with conn.transaction():
        await set_preferences(conn, OWNER.id, Preferences(zone="Asia/Tokyo"))
    tried = await call(of(OWNER), "try_schedule", run_id=FIRST, **NINE)
    assert tried.count("09:00:00 JST") == 5
    assert "not known yet" in tried
    assert await schedules.listed(conn) == []
    said = await call(of(OWNER), "create_schedule", run_id=FIRST, **MORNING)
    assert "Schedule morning was made. Next: " in said
    made = await schedules.get(conn, "morning")
    assert (made.user_id, made.input["agent"], made.source) == (OWNER.id, "clerk", "agent:clerk")
    assert (made.rule.zone, made.input["approvals"], made.job_type) == ("Asia/Tokyo", "reject", "scheduled_turn")
    again = await call(of(OWNER), "create_schedule", run_id=SECOND, **MORNING)
    assert "it was not done again" in again
    assert "morning: 0 9 * * mon-fri (Asia/Tokyo), next " in await call(of(OWNER), "list_schedules", run_id=FIRST)
    paused = await call(of(OWNER), "pause_schedule", run_id=FIRST, name="morning")
    assert "paused (by agent clerk)" in paused
    assert ", next " in await call(of(OWNER), "resume_schedule", run_id=FIRST, name="morning")
    assert "was removed" in await call(of(OWNER), "remove_schedule", run_id=FIRST, name="morning")
    assert await call(of(OWNER), "list_schedules", run_id=FIRST) == "There are no such schedules."


def test_only_owners_have_them_and_no_argument_names_a_person_or_another_agent(of: Of) -> None:
    assert not [tool.name for tool in tools_for(of(ADA)) if "schedule" in tool.name]
    fields = {
        name
        for tool in tools_for(of(OWNER))
        if "schedule" in tool.name
        for name in tool.Input.model_json_schema()["properties"]
    }
    assert fields == {"name", "prompt", "approvals", "cron", "every_s", "at", "zone", "after"}


def test_what_spends_money_or_cannot_be_taken_back_is_asked_about(of: Of) -> None:
    tools = tools_for(of(OWNER))
    ungated = shown_names([tool for tool in tools if not tool.gated])
    judge = policy.parse([], role="owner", own_tools=ungated).judge
    asked = {name for name in shown_names(tools) if judge(name, {}).then == "ask"}
    assert asked == {f"mcp__jobs__{verb}_schedule" for verb in ("create", "resume", "remove")}


@pytest.mark.usefixtures("clerk")
async def test_what_cannot_be_done_is_told_to_the_model(of: Of, conn: Connection) -> None:
    table = HandlerTable()
    table.declare(SCHEDULED_TURN)
    async with conn.transaction():
        await save(conn, table, read(MORNING), source="file:a.toml")
    with pytest.raises(ToolRefused, match="already"):
        await call(of(OWNER), "create_schedule", run_id=FIRST, **MORNING)
    with pytest.raises(ToolRefused, match="was made by file"):
        await call(of(OWNER), "remove_schedule", run_id=FIRST, name="morning")
    with pytest.raises(ToolRefused, match="There is no schedule 'evening'"):
        await call(of(OWNER), "remove_schedule", run_id=FIRST, name="evening")
    for wrong in ({"cron": "61 * * * *"}, {"every_s": 5}, {"zone": "Mars"}, {"name": "A b"}):
        with pytest.raises(InvalidInput):
            await call(of(OWNER), "create_schedule", run_id=FIRST, **(MORNING | wrong))


@pytest.mark.usefixtures("clerk")
async def test_a_run_that_lost_its_job_makes_no_schedule(of: Of, conn: Connection, job: AnyJob) -> None:
    await settle(conn, job, Snooze(timedelta(0)), NOTE)
    with pytest.raises(LeaseLost):
        await call(of(OWNER), "create_schedule", run_id=FIRST, **MORNING)
    assert await schedules.listed(conn) == []
