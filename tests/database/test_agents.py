"""Agents as rows: made, changed by one at a time, masked, and found by their chats, on a real Postgres."""

import asyncio
from typing import Any

import pytest

from assistant import agents, chats, people
from assistant.agents import DEFAULT_AGENT, Agent
from assistant.errors import AgentExists, NoSuchAgent, NoSuchChat
from jobs_core import Connection, Database, InvalidInput, Jobs, execute, fetch
from tests.support.database import Undone, until_blocked
from tests.support.people import EVE, EVERYTHING, contact

MASKED = {"notes": {"command": "notes", "env": {"TOKEN": "********"}}}


async def edit(database: Database, name: str, **changes: Any) -> tuple[Agent, Agent]:
    async with database.transaction() as conn:
        return await agents.edit(conn, name, changes)


async def put(database: Database, name: str, values: dict[str, Any]) -> Agent:
    async with database.transaction() as conn:
        return await agents.put(conn, name, values)


def secret(agent: Agent) -> str:
    server: Any = agent.mcp_servers["notes"]
    return str(server.env["TOKEN"])


async def test_the_default_agent_is_there_from_the_first_look(database: Database, conn: Connection) -> None:
    assert [agent.name for agent in await agents.list_agents(conn)] == [DEFAULT_AGENT]
    await execute(conn, "DELETE FROM jobs.agents")
    loaded = await asyncio.gather(*(_loaded(database) for _ in range(8)))
    assert len({agent.id for agent in loaded}) == 1
    with pytest.raises(NoSuchAgent, match="There is no agent 'other'"):
        await agents.load(conn, "other")


async def _loaded(database: Database) -> Agent:
    async with database.transaction() as conn:
        return await agents.load(conn, DEFAULT_AGENT)


async def test_a_look_that_makes_the_default_agent_undoes_no_change_of_it(
    database: Database, conn: Connection, other: Connection
) -> None:
    """Whoever looked first saw none, and waits for the one who makes it and changes it."""
    async with conn.transaction():
        await agents.edit(conn, DEFAULT_AGENT, {"model": "claude-opus-5"})
        looking = asyncio.create_task(_loaded(database))
        await until_blocked(other, "-- Takes an agent's columns")
    assert (await looking).model == "claude-opus-5"


async def test_an_agent_is_kept_as_it_was_given(database: Database, conn: Connection) -> None:
    async with conn.transaction():
        made = await agents.add(conn, "helper", EVERYTHING)
    assert made.model_dump(mode="json", exclude={"id"}) == {
        "name": "helper",
        "heartbeat_prompt": None,
        **EVERYTHING,
        "mcp_servers": {"notes": {"type": "stdio", **EVERYTHING["mcp_servers"]["notes"]}}
        | {"web": EVERYTHING["mcp_servers"]["web"]},
    }
    assert await agents.load(conn, "helper") == made
    assert [agent.name for agent in await agents.list_agents(conn, limit=1)] == [DEFAULT_AGENT]
    assert await agents.list_agents(conn, after=DEFAULT_AGENT) == [made]
    for taken in ("helper", DEFAULT_AGENT):
        with pytest.raises(AgentExists):
            await agents.add(conn, taken, {})


@pytest.mark.parametrize("name", ["", "Helper", "a b", "../x", "-x", "x" * 64, "a\0", "é", "x\n"])
async def test_what_is_no_name_makes_no_agent(database: Database, conn: Connection, name: str) -> None:
    for make in (agents.add, agents.put):
        with pytest.raises(InvalidInput, match="name: "):
            await make(conn, name, {})
    assert await fetch(conn, "SELECT FROM jobs.agents") == []


async def test_an_edit_changes_what_it_names_and_undone_it_changes_nothing(
    database: Database, conn: Connection
) -> None:
    made = await put(database, "helper", EVERYTHING)
    with pytest.raises(Undone):
        async with conn.transaction():
            before, after = await agents.edit(conn, "helper", {"model": None, "tools": []})
            raise Undone
    assert (before, after.model, after.tools, after.effort) == (made, None, (), "high")
    assert await agents.load(conn, "helper") == made
    with pytest.raises(InvalidInput, match=r"agent\.tools"):
        await edit(database, "helper", tools=["a,b"])
    with pytest.raises(NoSuchAgent):
        await edit(database, "nobody", model=None)


async def test_two_edits_at_once_both_count(database: Database, conn: Connection, other: Connection) -> None:
    """Without the turn they take, the second would write back what it read before the first."""
    await put(database, "helper", {})
    async with conn.transaction():
        await agents.edit(conn, "helper", {"model": "claude-opus-5"})
        second = asyncio.create_task(edit(database, "helper", effort="low"))
        await until_blocked(other, "-- Takes name. Makes those who write")
    assert (await second)[1].model == "claude-opus-5"
    after = await agents.load(conn, "helper")
    assert (after.model, after.effort) == ("claude-opus-5", "low")


async def test_a_mask_that_comes_back_stands_for_the_secret_that_is_kept(database: Database) -> None:
    made = await put(database, "helper", EVERYTHING)
    shown = {name: value for name, value in made.shown().items() if name not in {"id", "name"}}
    assert "hidden" not in str(shown)
    assert await put(database, "helper", shown) == made
    assert secret((await edit(database, "helper", mcp_servers=MASKED))[1]) == "hidden"
    new = {"notes": {"command": "notes", "env": {"TOKEN": "new"}}}
    assert secret((await edit(database, "helper", mcp_servers=new))[1]) == "new"
    for name, servers in (("helper", {"other": MASKED["notes"]}), ("new", MASKED)):
        with pytest.raises(InvalidInput, match=r"env\.TOKEN: \*+ stands for a value that is kept, and none is"):
            await put(database, name, {"mcp_servers": servers})


@pytest.mark.parametrize("command", ["a\0b", "\ud800", float("inf")])
async def test_rules_that_cannot_be_kept_are_refused_by_their_place(database: Database, command: Any) -> None:
    rule = {"tool": "Bash", "when": {"command": command}, "then": "ask"}
    with pytest.raises(InvalidInput, match=r"agent\.gate_policy.*0"):
        await put(database, "helper", {"gate_policy": [rule]})


async def test_a_chat_is_its_users_and_its_agents_and_one_of_before_the_owners(
    database: Database, jobs: Jobs, conn: Connection
) -> None:
    await put(database, "helper", {})
    eve = await contact(database, EVE, name="Eve")
    theirs = await chats.receive(
        conn, jobs, session_id=None, channel="telegram", message="hi", user_id=eve.id, agent="helper", trial=True
    )
    assert await agents.of_chat(conn, theirs.session_id) == agents.Cast(
        await agents.load(conn, "helper"), eve, "the owner"
    )
    old = await chats.receive(conn, jobs, session_id=None, channel="web", message="hi", user_id=None)
    cast = await agents.of_chat(conn, old.session_id)
    ada = await people.owner(conn)
    assert (cast.agent.name, cast.user, cast.owner) == (DEFAULT_AGENT, ada, "owner")
    assert (await agents.of_chat(conn, theirs.session_id)).owner == "owner"
    trials = await fetch(conn, "SELECT trial FROM jobs.chat_sessions ORDER BY created_at")
    assert [row["trial"] for row in trials] == [True, False]
    with pytest.raises(NoSuchChat):
        await agents.of_chat(conn, "web_unknown")


async def test_a_repeat_finds_the_chat_that_its_first_call_began_before_there_were_users(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    """A request that got no answer because of an update, and is sent again after it."""
    ada = await people.owner(conn)
    sent: dict[str, Any] = {"session_id": None, "channel": "web", "message": "hi", "idempotency_key": "k"}
    first = await chats.receive(conn, jobs, **sent, user_id=None)
    assert (await chats.receive(conn, jobs, **sent, user_id=ada.id)).message_id == first.message_id
    await execute(conn, "DELETE FROM jobs.chat_message_history")
    await execute(conn, "DELETE FROM jobs.chat_sessions")
    assert (await chats.receive(conn, jobs, **sent, user_id=ada.id)).session_id != first.session_id


async def test_a_row_that_fits_no_more_is_told_by_its_agent(database: Database, conn: Connection) -> None:
    await put(database, "helper", {})
    await execute(conn, "UPDATE jobs.agents SET effort = 'enormous'")
    with pytest.raises(InvalidInput, match=r"agent helper\.effort"):
        await agents.load(conn, "helper")
