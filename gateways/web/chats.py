"""Chats: begin one, list and look at them, name, stop, reset or close one, fork it at an answer."""

from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from assistant import agents, chat_list, copied_chats, incoming, people, stopping
from assistant.agents import DEFAULT_AGENT
from assistant.incoming import begin_chat, require_theirs
from assistant.recipients import TELEGRAM
from gateways.web.body import read
from gateways.web.caller import Calling, ChatId
from gateways.web.context import Here
from gateways.web.errors import Refused
from gateways.web.parameters import Id, Name
from jobs_core import InvalidInput, db


class Which(BaseModel):
    """Which chats: all, or a user's; at most `limit`, those that are older than the chat `before`."""

    model_config = ConfigDict(extra="forbid")

    user_id: Name | None = None
    limit: int = Field(50, ge=1, le=100)
    before: Name | None = None


class NewChat(BaseModel):
    """A chat to begin: whose it is, the caller's unless told otherwise, what it is called, and which agent answers.

    agent: for owners to choose; the default one unless given.
    """

    model_config = ConfigDict(extra="forbid")

    title: str | None = None
    agent: Name | None = None
    user_id: Name | None = None


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


class Chats(BaseModel):
    """Chats, the newest first; page on with the last one's session_id as `before`."""

    chats: list[chat_list.ChatView]


class Resets(BaseModel):
    """What each reset came to."""

    chats: list[stopping.Stopped]


async def listed(context: Here, caller: Calling, which: Annotated[Which, Query()]) -> Chats:
    """The newest chats."""
    whose = caller.about(which.user_id)
    async with context.database.connection() as conn:
        if which.before is not None and not caller.is_owner and whose is not None:
            await require_theirs(conn, which.before, whose)
        return Chats(chats=await chat_list.list_chats(conn, user_id=whose, limit=which.limit, before=which.before))


async def begin(request: Request, context: Here, caller: Calling) -> chat_list.Chat:
    """Begin a chat in which nothing was said yet."""
    wanted = await read(request, NewChat, if_empty=b"{}")
    whose = caller.acting_for(wanted.user_id)
    if wanted.agent is not None and not caller.is_owner:
        raise Refused(403, "owners_only", "Only owners choose the agent; leave it out", field="agent")
    async with context.database.transaction() as conn:
        agent = DEFAULT_AGENT if wanted.agent is None else (await agents.load(conn, wanted.agent)).name
        user = await (people.owner(conn) if whose is None else people.get(conn, whose))
        session_id = await begin_chat(conn, incoming.NewChat("web", user.id, agent))
        await chat_list.rename(conn, session_id, wanted.title)
        return await chat_list.find_chat(conn, session_id)


async def one(context: Here, session_id: ChatId) -> chat_list.Chat:
    """One chat."""
    async with context.database.connection() as conn:
        return await chat_list.find_chat(conn, session_id)


async def rename(request: Request, context: Here, session_id: ChatId) -> chat_list.Chat:
    """Name a chat."""
    wanted = await read(request, Title)
    async with context.database.transaction() as conn:
        await chat_list.rename(conn, session_id, wanted.title)
        return await chat_list.find_chat(conn, session_id)


async def stop(context: Here, session_id: ChatId) -> stopping.Stopped:
    """Stop what the agent does there, and what waits for it; `turns` 0: there was nothing to stop."""
    return await stopping.stop(context.database, context.jobs, session_id)


async def close(context: Here, session_id: ChatId) -> stopping.Stopped:
    """Stop everything there, and take nothing more; 409 for a chat of Telegram, whose person would not hear of it."""
    async with context.database.connection() as conn:
        if (await chat_list.find_chat(conn, session_id)).channel == TELEGRAM:
            raise Refused(409, "not_of_the_web", "What is written by Telegram is always taken: stop or reset the chat")
    return await stopping.close(context.database, context.jobs, session_id)


async def reset(context: Here, session_id: ChatId) -> stopping.Stopped:
    """Stop everything there, and have the chat begin anew."""
    return await stopping.reset(context.database, context.jobs, session_id)


async def reset_all(request: Request, context: Here, caller: Calling) -> Resets:
    """Reset all chats of a user."""
    wanted = await read(request, ResetAll)
    user_id = caller.acting_for(wanted.user_id)
    if user_id is None:
        raise InvalidInput("user_id: is missing; say whose chats", field="user_id")
    return Resets(chats=await stopping.reset_all(context.database, context.jobs, user_id))


async def fork(request: Request, context: Here, session_id: ChatId) -> Forked:
    """A new chat that knows what this one knew at an answer."""
    wanted = await read(request, Fork, if_empty=b"{}")

    async def once() -> str:
        async with context.database.transaction() as conn:
            return await copied_chats.fork(conn, session_id, message_id=wanted.message_id, title=wanted.title)

    return Forked(session_id=await db.retried(once))
