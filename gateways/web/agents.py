"""Agents: list and look at them, set one, try one out. What an MCP server is given in secret is shown as a mask."""

from typing import Annotated, Any

from fastapi import Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from assistant import agents
from assistant.content import read_content
from gateways.web.body import read
from gateways.web.caller import Calling
from gateways.web.chat import MAX_BODY_BYTES, Patience, try_out
from gateways.web.context import Here
from gateways.web.parameters import Name
from gateways.web.replies import Waiting


class Page(BaseModel):
    """Which part of the list: at most `limit`, behind the agent `after`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=100)
    after: Name = ""


class Trial(BaseModel):
    """What is said to the agent."""

    model_config = ConfigDict(extra="forbid")

    message: str | list[Any]


async def listed(context: Here, page: Annotated[Page, Query()]) -> dict[str, list[dict[str, Any]]]:
    """Agents by name."""
    async with context.database.connection() as conn:
        found = await agents.list_agents(conn, after=page.after, limit=page.limit)
    return {"agents": [agent.shown() for agent in found]}


async def one(context: Here, name: Annotated[Name, Path()]) -> dict[str, Any]:
    """One agent; 404 where there is none of this name."""
    async with context.database.connection() as conn:
        return (await agents.load(conn, name)).shown()


async def put(request: Request, context: Here, name: Annotated[Name, Path()]) -> dict[str, Any]:
    """Make an agent, or give the one of this name all that the body says; what it leaves out is the default."""
    wanted = await read(request, agents.AgentSettings)
    async with context.database.transaction() as conn:
        return (await agents.put(conn, name, wanted.model_dump(mode="json"))).shown()


async def try_one(
    request: Request,
    context: Here,
    caller: Calling,
    replies: Waiting,
    name: Annotated[Name, Path()],
    *,
    wait_s: Patience = None,
) -> JSONResponse:
    """Say something to an agent, in a new chat that is marked as a trial: 200 with the reply, 202 where none came in time."""
    said = await read(request, Trial, max_bytes=MAX_BODY_BYTES)
    message = read_content(said.message, field="message")
    async with context.database.connection() as conn:
        await agents.load(conn, name)
    return await try_out(context, replies, name, message, user_id=caller.user_id, wait_s=wait_s)
