"""What tests of cards stand on: an owner with a phone, and what their chat with us shows, edits carried out."""

from collections.abc import Sequence
from typing import Any

from assistant.deliveries import Delivery, list_deliveries
from assistant.people import User
from jobs_core import Connection, Database, execute
from tests.support.people import ADA, contact


async def owner_with_a_phone(database: Database, *, account: str | None = "bot", name: str = "Ada") -> User:
    """The owner, who has written to an account of ours from the number of the settings."""
    return await contact(database, ADA, name=name, tg_user_id=ADA, owner_tg_user_id=ADA, account=account)


async def cards(conn: Connection) -> list[Delivery]:
    """Deliveries that are cards or change some, in the order in which they were owed."""
    return [one for one in reversed(await list_deliveries(conn)) if one.kind == "card"]


async def send(conn: Connection) -> None:
    """Have all that is owed arrive."""
    await execute(
        conn, "UPDATE jobs.deliveries SET state = 'sent', tries = 1, receiver_id = id::text WHERE state = 'owed'"
    )


async def shown(conn: Connection) -> dict[int, Any]:
    """What messages say at last, by the id of the delivery that each was sent as."""
    messages = dict[int, Any]()
    for one in await cards(conn):
        messages[one.payload.get("edits", one.id)] = one.payload
    return messages


def labels(payload: Any) -> Sequence[str]:
    """What its buttons are called, in order."""
    return [button["label"] for row in payload.get("buttons", ()) for button in row]


def data(payload: Any, label: str) -> str:
    """What the button says when it is pressed."""
    (found,) = [button["data"] for row in payload["buttons"] for button in row if button["label"] == label]
    return str(found)


async def stranger(database: Database, number: int, **said: Any) -> User:
    """Somebody who comes for the first time, by a number at Telegram."""
    return await contact(database, number, tg_user_id=number, **said)
