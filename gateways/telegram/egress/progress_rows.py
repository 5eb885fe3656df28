"""Which messages show how turns go. Verbs take the connection first."""

from uuid import UUID

from gateways.telegram.egress.places import Place
from jobs_core import Connection, execute, fetch_one, statement


async def put_progress(conn: Connection, turn_id: UUID, place: Place, message_id: int) -> None:
    """Note the message."""
    values = {"turn_id": turn_id, "account": place.account, "chat_id": place.chat_id, "message_id": message_id}
    await execute(conn, statement("gateways", "progress/put"), values)


async def find_progress(conn: Connection, turn_id: UUID, place: Place) -> int | None:
    """The message that shows this turn there; None: none does."""
    values = {"turn_id": turn_id, "account": place.account}
    row = await fetch_one(conn, statement("gateways", "progress/find"), values)
    return row["message_id"] if row else None


async def take_progress(conn: Connection, turn_id: UUID) -> int | None:
    """The message that showed this turn, forgotten here: it is the caller's to delete; None: none did."""
    row = await fetch_one(conn, statement("gateways", "progress/take"), {"turn_id": turn_id})
    return row["message_id"] if row else None
