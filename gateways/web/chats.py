"""Chats: list them, name one, stop or reset it, fork it at an answer."""

from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from assistant import chat_list, copied_chats, stopping
from gateways.web.body import read
from gateways.web.caller import Calling, ChatId
from gateways.web.context import Here
from gateways.web.parameters import Id, Name
from jobs_core import InvalidInput, db


class Which(BaseModel):
    """Which chats: all, or a user's; at most `limit`, those that are older than the chat `before`."""

    model_config = ConfigDict(extra="forbid")

    user_id: Name | None = None
    limit: int = Field(50, ge=1, le=100)
    before: Name | None = None


class Title(BaseModel):
    """What it is called; null: nothing."""

    model_config = ConfigDict(extra="forbid")

    title: str | None


class ResetAll(BaseModel):
    """Whose chats; None: the caller's."""

    model_config = ConfigDict(extra="forbid")

    user_id: Name | None = None


class Fork(BaseModel):
    """At which answer, the newest unless one is named, and what the new chat is called, this one's title unless given."""

    model_config = ConfigDict(extra="forbid")

    message_id: Id | None = None
    title: str | None = None


class Forked(BaseModel):
    """The new chat."""

    session_id: str


async def listed(
    context: Here, caller: Calling, which: Annotated[Which, Query()]
) -> dict[str, list[chat_list.ChatView]]:
    """The newest chats."""
    whose = caller.about(which.user_id)
    async with context.database.connection() as conn:
        if which.before is not None and not caller.is_owner and whose is not None:
            await chat_list.require_theirs(conn, which.before, whose)
        return {"chats": await chat_list.list_chats(conn, user_id=whose, limit=which.limit, before=which.before)}


async def rename(request: Request, context: Here, session_id: ChatId) -> chat_list.Chat:
    """Name a chat."""
    wanted = await read(request, Title)
    async with context.database.transaction() as conn:
        await chat_list.rename(conn, session_id, wanted.title)
        return await chat_list.find_chat(conn, session_id)


async def stop(context: Here, session_id: ChatId) -> stopping.Stopped:
    """Stop what the agent does there, and what waits for it; `turns` 0: there was nothing to stop."""
    return await stopping.stop(context.database, context.jobs, session_id)


async def reset(context: Here, session_id: ChatId) -> stopping.Stopped:
    """Stop everything there, and have the chat begin anew."""
    return await stopping.reset(context.database, context.jobs, session_id)


async def reset_all(request: Request, context: Here, caller: Calling) -> dict[str, list[stopping.Stopped]]:
    """Reset all chats of a user."""
    wanted = await read(request, ResetAll)
    user_id = caller.acting_for(wanted.user_id)
    if user_id is None:
        raise InvalidInput("user_id: is missing; say whose chats", field="user_id")
    return {"chats": await stopping.reset_all(context.database, context.jobs, user_id)}


async def fork(request: Request, context: Here, session_id: ChatId) -> Forked:
    """A new chat that knows what this one knew at an answer."""
    wanted = await read(request, Fork, if_empty=b"{}")

    async def once() -> str:
        async with context.database.transaction() as conn:
            return await copied_chats.fork(conn, session_id, message_id=wanted.message_id, title=wanted.title)

    return Forked(session_id=await db.retried(once))
