"""A person's notifications as they come, as server-sent events.

    id: 31
    event: notification
    data: {"id": 40, "title": "…", "severity": "info", …}

An id is a place in the order of reading. Who comes back with the last id it got (or asks for `after`) is told all that stands
behind it, once; who comes without begins here. The first event of each stream says how many are unread, and where it begins.
"""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated

from fastapi import Header, Query, Request, Response

from gateways.web.at_once import Stream
from gateways.web.caller import Calling
from gateways.web.inbox_feed import Inbox, Reader, Watched
from jobs_core import InvalidInput

HEARTBEAT_S = 15.0
"""A comment after so long without an event: proxies close what is silent, and a client that has gone is noticed by it."""
_FIRST = b"retry: 1000\n\n"
_HEARTBEAT = b": nothing new\n\n"
_MAX_DIGITS = 18


async def stream(
    request: Request,
    inbox: Watched,
    caller: Calling,
    after: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """The events; 503 where too many watch."""
    if last_event_id:
        after = _place(last_event_id)
    with ExitStack() as held:
        held.enter_context(request.app.state.watching.one_of(caller))
        listener = await inbox.listen(caller.user_id)
        held.callback(inbox.leave, listener)
        return Stream(_chunks(inbox, listener, after), held.pop_all())


async def _chunks(inbox: Inbox, listener: Reader, after: int | None) -> AsyncIterator[bytes]:
    yield _FIRST
    if after is not None:
        async for news in inbox.missed(listener, after):
            yield news
    yield listener.first
    while (chunk := await listener.next(HEARTBEAT_S)) is not None:
        yield chunk or _HEARTBEAT


def _place(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise InvalidInput("Last-Event-ID: is no id of an event of notifications", field="Last-Event-ID")
    return int(text)
