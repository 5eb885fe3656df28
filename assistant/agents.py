"""Agents as data, a row each: what one is told, may use and may spend; and the one place where a row becomes a run's agent.

    row + user ─▶ setup_for ─▶ owner: what the row says            ─▶ AgentSetup, for a run on any channel
                            └▶ anybody else: a prompt, and nothing

Whatever a row says, a person who is not the owner gets no built-in tool, no folder and no MCP server from it. A field that is
None is as assistant/prompts.py or the settings have it. Verbs take the connection first: the caller owns the transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Any, Self, cast
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, TypeAdapter, ValidationError, model_validator

from assistant import people, prompts
from assistant.agent_values import (
    OWN_SERVER,
    AgentName,
    Budget,
    Limits,
    McpServer,
    ModelName,
    Policy,
    Prompt,
    ServerName,
    ToolName,
    masked,
    unmasked,
)
from assistant.errors import AgentExists, NoSuchAgent, NoSuchChat
from assistant.people import User
from assistant.workspaces import Workspaces
from jobs_core import Connection, InvalidInput, execute, fetch, fetch_one, gate, statement
from sessions import AgentSetup, Effort
from sessions.budgets import Scope
from sessions.caps import declare_caps, tell_agent

DEFAULT_AGENT = "assistant"
FILE_TOOLS = ("Read", "Glob", "Grep", "Write", "Edit")
"""What an agent may use unless its row says otherwise: files. The gate asks before it writes, or reads others than its own."""


class AgentSettings(BaseModel):
    """What may be said of an agent; what is left out is the default.

    owner_prompt, external_prompt: system prompts, in which `{owner}` and `{name}` stand for the owner and whoever writes.
    model, fallback_model: None is the settings' one, and none. tools: built-in ones. All of it but the prompts, the models and
    `effort` is the owner's alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    owner_prompt: Prompt | None = None
    external_prompt: Prompt | None = None
    heartbeat_prompt: Prompt | None = None
    model: ModelName | None = None
    fallback_model: ModelName | None = None
    effort: Effort | None = None
    tools: Annotated[tuple[ToolName, ...], Field(max_length=100)] = FILE_TOOLS
    gate_policy: Policy = []
    mcp_servers: Annotated[dict[ServerName, McpServer], Field(max_length=50)] = {}
    budget: Budget = Budget()
    limits: Limits = Limits()
    workspace: StrictBool = True

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.fallback_model is not None and self.fallback_model == self.model:
            raise ValueError("fallback_model is the model itself: name another one, or leave it out")
        if OWN_SERVER in self.mcp_servers:
            raise ValueError(f"mcp_servers: {OWN_SERVER!r} is our own server's name: take another one")
        return self

    def shown(self) -> dict[str, Any]:
        """Everything, as it may be shown: what an MCP server is given in secret is masked."""
        values = self.model_dump(mode="json")
        return values | {"mcp_servers": {name: masked(server) for name, server in values["mcp_servers"].items()}}


class Agent(AgentSettings):
    """An agent as it is kept. `id` is ours and never changes."""

    id: int
    name: AgentName


async def load(conn: Connection, name: str) -> Agent:
    """The agent of this name; DEFAULT_AGENT is made now where it is not there. Raises NoSuchAgent."""
    agent = await _find(conn, name)
    if agent is None and name == DEFAULT_AGENT:
        agent = await _write(conn, name, AgentSettings(), over=False) or await _find(conn, name)
    if agent is None:
        raise NoSuchAgent(f"There is no agent {name!r}: ./jobs agent list lists them")
    return agent


async def list_agents(conn: Connection, *, after: str = "", limit: int = 50) -> list[Agent]:
    """Agents in the order of their names; page on with the last one's as `after`."""
    await load(conn, DEFAULT_AGENT)
    rows = await fetch(conn, statement("assistant", "agent/list"), {"after": after, "limit": limit})
    return [_agent(row) for row in rows]


async def add(conn: Connection, name: str, values: Mapping[str, Any]) -> Agent:
    """Make an agent; call it inside a transaction. Raises AgentExists, and InvalidInput naming what does not fit."""
    await _lock(conn, check_agent_name(name))
    if await _find(conn, name) is not None or name == DEFAULT_AGENT:
        raise AgentExists(f"There is an agent {name!r} already: ./jobs agent edit changes it")
    return await _written(conn, name, _fit(values, None))


async def edit(conn: Connection, name: str, changes: Mapping[str, Any]) -> tuple[Agent, Agent]:
    """Change some fields of an agent; returns it as it was and as it is. Call it inside a transaction.

    Roll that back to see what would change. Raises NoSuchAgent, and InvalidInput naming what does not fit.
    """
    await _lock(conn, name)
    before = await load(conn, name)
    values = before.model_dump(mode="json", exclude={"id", "name"}) | dict(changes)
    return before, await _changed(conn, before, _fit(values, before))


async def put(conn: Connection, name: str, values: Mapping[str, Any]) -> Agent:
    """Make an agent, or give the one of this name all of these values; call it inside a transaction. Raises InvalidInput."""
    await _lock(conn, check_agent_name(name))
    before = await _find(conn, name)
    wanted = _fit(values, before)
    return await _changed(conn, before, wanted) if before else await _written(conn, name, wanted)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is in a chat: the agent, whom it talks to, and the owner's name."""

    agent: Agent
    user: User
    owner: str


async def of_chat(conn: Connection, chat: str) -> Cast:
    """Who is in a chat, as of now. A chat from before there were users is the owner's. Raises NoSuchChat, NoSuchAgent."""
    row = await fetch_one(conn, statement("assistant", "chat/begun_by"), {"session_id": chat})
    if row is None:
        raise NoSuchChat(f"There is no chat {chat!r}")
    user = await (people.owner(conn) if row["user_id"] is None else people.get(conn, row["user_id"]))
    owner = user if user.is_owner else await people.first_owner(conn)
    return Cast(await load(conn, row["agent_name"]), user, owner.name if owner else "the owner")


def setup_for(agent: Agent, user: User, *, owner: str, workspaces: Workspaces | None) -> AgentSetup:
    """What the agent is in a run for this user, on whatever channel.

    owner: the owner's name, for the prompts. workspaces: None where agents have none. Makes the user's workspace; raises
    ConfigurationError where that cannot be had.
    """
    names = {"owner": owner, "name": user.name}
    anybody = AgentSetup(
        prompts.filled_in(agent.external_prompt or prompts.EXTERNAL, names),
        model=agent.model,
        fallback_model=agent.fallback_model,
        effort=agent.effort,
        max_turns=agent.limits.max_turns,
    )
    if not user.is_owner:
        return anybody
    return replace(
        anybody,
        system_prompt=prompts.filled_in(agent.owner_prompt or prompts.OWNER, names),
        tools=agent.tools,
        mcp_servers={name: server.model_dump(mode="json") for name, server in agent.mcp_servers.items()},
        workspace=workspaces.folder(user.id, agent.id) if workspaces and agent.workspace else None,
    )


async def declare_caps_of(conn: Connection, *, agent: Agent, turn_id: UUID) -> None:
    """Have stand as caps what the agent's row says of a turn of it, and of its day; in the run's first transaction."""
    own = {Scope("turn", str(turn_id)): agent.budget.turn_usd, Scope("agent", agent.name): agent.budget.day_usd}
    caps = {scope: None if usd is None else Decimal(str(usd)) for scope, usd in own.items()}
    await declare_caps(conn, caps, set_by=f"agent {agent.name}")


async def _lock(conn: Connection, name: str) -> None:
    await execute(conn, statement("assistant", "agent/lock"), {"name": name})


async def _find(conn: Connection, name: str) -> Agent | None:
    row = await fetch_one(conn, statement("assistant", "agent/find"), {"name": gate.check_name(name, field="name")})
    return _agent(row) if row else None


async def _written(conn: Connection, name: str, wanted: AgentSettings) -> Agent:
    agent = await _write(conn, name, wanted, over=True)
    assert agent is not None  # it inserts or updates
    return agent


async def _changed(conn: Connection, before: Agent, wanted: AgentSettings) -> Agent:
    """Keep it, and let go on what waits for more than the row allowed; polls find that."""
    agent = await _written(conn, before.name, wanted)
    if agent.budget != before.budget:
        await tell_agent(conn, agent.name)
    return agent


async def _write(conn: Connection, name: str, wanted: AgentSettings, *, over: bool) -> Agent | None:
    """Keep an agent, over the one of this name or not; None where that one stays."""
    values = wanted.model_dump(mode="json") | {"name": name, "over": over}
    values["gate_policy"] = (
        wanted.gate_policy
    )  # as it is: pydantic's JSON has null for an infinity, where the gate refuses it
    for column in ("gate_policy", "mcp_servers", "budget", "limits"):
        values[column] = gate.to_json(values[column], field=f"agent.{column}", max_bytes=gate.MAX_INPUT_BYTES)
    row = await fetch_one(conn, statement("assistant", "agent/put"), values)
    return _agent(row) if row else None


def _agent(row: Mapping[str, Any]) -> Agent:
    return cast("Agent", gate.fit(Agent, row, field=f"agent {row['name']}"))


def _fit(values: Mapping[str, Any], before: Agent | None) -> AgentSettings:
    """What was asked for, if it fits, with secrets that were masked taken from how the agent was."""
    wanted = cast("AgentSettings", gate.fit(AgentSettings, values, field="agent"))
    kept = before.model_dump(mode="json")["mcp_servers"] if before else {}
    servers = {
        name: unmasked(server.model_dump(mode="json"), kept.get(name, {}), field=f"agent.mcp_servers.{name}")
        for name, server in wanted.mcp_servers.items()
    }
    return wanted.model_copy(update={"mcp_servers": _SERVERS.validate_python(servers)})


def check_agent_name(name: str) -> str:
    """The name itself, if an agent can be called so. Raises InvalidInput."""
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        raise InvalidInput(
            f"name: {name[:80]!r} is no agent's name: lower-case letters, digits, _ and -, at most 63", field="name"
        ) from None


_NAME: TypeAdapter[str] = TypeAdapter(AgentName)
_SERVERS: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[ServerName, McpServer])
