"""People: list, find and look at them, change a role."""

from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from assistant import people
from assistant.person_search import Found, find
from gateways.web.body import read
from gateways.web.context import Here
from gateways.web.parameters import Name


class Page(BaseModel):
    """Which people: of this role or all, the newest first; at most `limit`, who came before the user `before`."""

    model_config = ConfigDict(extra="forbid")

    role: people.Role | None = None
    limit: int = Field(50, ge=1, le=100)
    before: Name | None = None


class Search(BaseModel):
    """What is remembered of a name."""

    model_config = ConfigDict(extra="forbid")

    text: Name
    limit: int = Field(10, ge=1, le=100)


class NewRole(BaseModel):
    """The role that a person is to have."""

    model_config = ConfigDict(extra="forbid")

    role: people.Role


async def listed(context: Here, page: Annotated[Page, Query()]) -> dict[str, list[people.User]]:
    """People, the newest first."""
    async with context.database.connection() as conn:
        return {"users": await people.list_users(conn, role=page.role, limit=page.limit, before=page.before)}


async def found(context: Here, search: Annotated[Search, Query()]) -> dict[str, list[Found]]:
    """People whose name, username, id or address is like the text, the likeliest first."""
    async with context.database.connection() as conn:
        return {"found": await find(conn, search.text, limit=search.limit)}


async def one(context: Here, user_id: Annotated[Name, Path()]) -> dict[str, Any]:
    """One person, and the channels by which they come."""
    async with context.database.connection() as conn:
        user = await people.get(conn, user_id)
        return {"user": user, "channels": await people.channels(conn, user.id)}


async def change(request: Request, context: Here, user_id: Annotated[Name, Path()]) -> people.User:
    """Give a person another role; 409 where nobody would be owner then, or whoever has the token would not."""
    wanted = await read(request, NewRole)
    async with context.database.transaction() as conn:
        return await people.set_role(conn, user_id, wanted.role)
