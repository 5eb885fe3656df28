"""Notifications: a person reads them, marks them as read, and says how they are told besides.

Whoever holds the operator's token is the owner. Nobody marks somebody else's.
"""

from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from assistant import notifications as told
from assistant import people
from assistant.preferences import Preferences, hold_preferences
from assistant.recipients import recipient
from assistant.routing import set_preferences
from gateways.web.body import read as read_body
from gateways.web.caller import Calling
from gateways.web.context import Here
from gateways.web.errors import Refused
from gateways.web.parameters import Id, Name, Page
from jobs_core import Connection, InvalidInput


class Which(Page):
    """Which notifications: the newest first, or, with `after`, those behind that place, the first first.

    user_id: another's, for owners.
    """

    user_id: Name | None = None
    unread: bool = False
    after: int | None = Field(None, ge=0, lt=2**63)


class Whose(BaseModel):
    """Whose preferences; the caller's, where nobody is named."""

    model_config = ConfigDict(extra="forbid")

    user_id: Name | None = None


class AllRead(BaseModel):
    """All up to this one, of this category, or both."""

    model_config = ConfigDict(extra="forbid")

    up_to_id: Id | None = None
    category: Name | None = None


class Notifications(BaseModel):
    """Notifications, how many are unread, and `after`: where to go on to miss none that comes."""

    notifications: list[told.Notification]
    unread: int
    after: int


class Read(BaseModel):
    """That it was."""

    read: bool


class HowMany(BaseModel):
    """How many were read by this that were not before."""

    read: int


async def listed(context: Here, caller: Calling, which: Annotated[Which, Query()]) -> Notifications:
    """Notifications of a person."""
    if which.after is not None and (which.before_id is not None or which.unread):
        raise InvalidInput("after: does not go with before_id and unread; leave them out", field="after")
    async with context.database.connection() as conn:
        person = await recipient(conn, caller.acting_for(which.user_id))
        last = await told.place(conn)
        if which.after is None:
            found = await told.list_notifications(
                conn, of=person, unread=which.unread, before_id=which.before_id, limit=which.limit
            )
        else:
            found = await told.notifications_after(conn, person, which.after, upto=last, limit=which.limit)
            last = (found[-1].seq or last) if len(found) == which.limit else max(last, which.after)
        return Notifications(notifications=found, unread=await told.count_unread(conn, person), after=last)


async def read(context: Here, caller: Calling, notification_id: Id) -> Read:
    """Note that a notification was read."""
    async with context.database.connection() as conn:
        if not await told.mark_read(conn, notification_id, of=await recipient(conn, caller.user_id)):
            raise _no_such(notification_id, "notification_id")
    return Read(read=True)


async def all_read(request: Request, context: Here, caller: Calling) -> HowMany:
    """Note that many were read; tells how many that were not before."""
    which = await read_body(request, AllRead)
    if which.up_to_id is None and which.category is None:
        raise InvalidInput("up_to_id: is missing, and so is category; give one of them", field="up_to_id")
    async with context.database.connection() as conn:
        person = await recipient(conn, caller.user_id)
        marked = await told.mark_all_read(conn, person, up_to_id=which.up_to_id, category=which.category)
    if marked is None:
        raise _no_such(which.up_to_id, "up_to_id")
    return HowMany(read=marked)


async def preferences(context: Here, caller: Calling, whose: Annotated[Whose, Query()]) -> dict[str, Any]:
    """How a person is told."""
    async with context.database.transaction() as conn:
        person = await _person(conn, caller.acting_for(whose.user_id))
        return _shown(await hold_preferences(conn, person.id))


async def put_preferences(
    request: Request, context: Here, caller: Calling, whose: Annotated[Whose, Query()]
) -> dict[str, Any]:
    """Say how a person is told from now on, of what waits, too; what is not given is as if nothing had been said."""
    wanted = await read_body(request, Preferences)
    async with context.database.transaction() as conn:
        person = await _person(conn, caller.acting_for(whose.user_id))
        await set_preferences(conn, person.id, wanted)
    return _shown(wanted)


async def _person(conn: Connection, user_id: str | None) -> people.User:
    return await people.owner(conn) if user_id is None else await people.get(conn, user_id)


def _shown(said: Preferences) -> dict[str, Any]:
    return said.model_dump(mode="json", by_alias=True)


def _no_such(notification_id: int | None, field: str) -> Refused:
    message = f"There is no notification {notification_id} of yours: GET /api/notifications lists them"
    return Refused(404, "no_such_notification", message, field=field)
