"""What is owed to people: deliveries to the outside, and notifications, which are read here."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from assistant import deliveries as owed
from assistant import notifications as told
from assistant import sending
from assistant.deliveries import Delivery, State
from assistant.notifications import Notification
from gateways.web.context import Here
from gateways.web.errors import Refused
from gateways.web.parameters import Id, Name, Page


class WhichDeliveries(Page):
    """Which deliveries, the newest first; state: those in any of these, which may be repeated."""

    state: list[State] = Field([], max_length=len(owed.STATES))


class WhichNotifications(Page):
    """Which notifications, the newest first; user_id: one user's, not the owner's."""

    user_id: Name | None = None
    unread: bool = False


async def deliveries(context: Here, which: Annotated[WhichDeliveries, Query()]) -> dict[str, list[Delivery]]:
    """Deliveries; page on with the last one's id as `before_id`."""
    async with context.database.connection() as conn:
        await sending.end_left(conn)
        found = await owed.list_deliveries(conn, states=which.state, before_id=which.before_id, limit=which.limit)
    return {"deliveries": found}


async def delivery(context: Here, delivery_id: Annotated[Id, Path()]) -> Delivery:
    """One delivery, with what its receiver said."""
    async with context.database.connection() as conn:
        await sending.end_left(conn)
        return await owed.find_delivery(conn, delivery_id)


async def resend(context: Here, delivery_id: Annotated[Id, Path()]) -> Delivery:
    """Owe once more what failed, is unknown or was blocked; 409 for another."""
    async with context.database.connection() as conn:
        ready = (await sending.resend(conn, delivery_id)).ready
        context.jobs.notifier.wake(ready)
        return await owed.find_delivery(conn, delivery_id)


async def notifications(context: Here, which: Annotated[WhichNotifications, Query()]) -> dict[str, list[Notification]]:
    """Notifications; page on with the last one's id as `before_id`."""
    async with context.database.connection() as conn:
        return {"notifications": await told.list_notifications(conn, **which.model_dump())}


async def read(context: Here, notification_id: Id) -> dict[str, bool]:
    """Note that a notification was read."""
    async with context.database.connection() as conn:
        if not await told.mark_read(conn, notification_id):
            raise Refused(
                404,
                "no_such_notification",
                f"There is no notification {notification_id}: GET /api/notifications lists them",
                field="notification_id",
            )
    return {"read": True}
