"""What is owed to people outside: deliveries."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from assistant import deliveries as owed
from assistant import sending
from assistant.deliveries import Delivery, State
from gateways.web.context import Here
from gateways.web.parameters import Id, Page


class WhichDeliveries(Page):
    """Which deliveries, the newest first; state: those in any of these, which may be repeated."""

    state: list[State] = Field([], max_length=len(owed.STATES))


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
