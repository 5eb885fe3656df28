"""What happens in a chat while it happens, as server-sent events: text, calls of tools, how a turn goes and how it ends.

    id: 31.17.4
    event: text
    data: {"turn_id": "…", "text": "Half an ", "message": "msg_1", "parent": null}

Who comes late, or back with the last id it got, is first told the ends of turns that it missed, and in one `reset` all that the
running turn shows by then; who missed nothing goes straight on. The stream goes on over turns until either side ends it.
"""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated

from fastapi import Header, Query, Request, Response

from assistant import chats
from gateways.web.at_once import Stream
from gateways.web.caller import Calling, ChatId
from gateways.web.context import Here
from gateways.web.feed import Cursor, Listener, missed
from gateways.web.feeds import Feeds, Watched
from gateways.web.parameters import Id

HEARTBEAT_S = 15.0
"""A comment after so long without an event: proxies close what is silent, and a client that has gone is noticed by it."""
_RETRY_MS = 1_000
_FIRST = f"retry: {_RETRY_MS}\n\n".encode()
_HEARTBEAT = b": nothing new\n\n"


async def stream(
    request: Request,
    context: Here,
    caller: Calling,
    feeds: Watched,
    session_id: ChatId,
    *,
    after: Annotated[Id | None, Query()] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """The events; 404 where there is no such chat, 503 where too many watch. after: tell also the ends after this message."""
    cursor = Cursor(after) if after else None
    if last_event_id:
        cursor = Cursor.parse(last_event_id, field="Last-Event-ID")
    async with context.database.connection() as conn:
        await chats.claude_session_of(conn, session_id)
    with ExitStack() as held:
        held.enter_context(request.app.state.watching.one_of(caller))
        listener = await feeds.listen(session_id, cursor)
        held.callback(feeds.leave, session_id, listener)
        return Stream(_chunks(feeds, session_id, listener, cursor), held.pop_all())


async def _chunks(feeds: Feeds, chat: str, listener: Listener, cursor: Cursor | None) -> AsyncIterator[bytes]:
    yield _FIRST
    if cursor:
        async for ends in feeds.missed(chat, cursor, listener.upto):
            yield missed(ends, cursor)
    if listener.first:
        yield listener.first
    while (chunk := await listener.next(HEARTBEAT_S)) is not None:
        yield chunk or _HEARTBEAT
