"""Recipients: who is meant by a notification's user, and by what ways something can be brought to them.

Verbs take the connection first.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs_core import Connection, fetch, fetch_one, statement

TELEGRAM = "telegram"


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person who is told things, at the moment `now` of the database. is_owner: what is nobody's by name is theirs.

    user_id: None only of an owner who was never seen.
    """

    user_id: str | None
    is_owner: bool
    now: datetime

    @property
    def theirs(self) -> dict[str, Any]:
        """What statements ask for: whose rows are theirs."""
        return {"user_id": self.user_id, "is_owner": self.is_owner}


@dataclass(frozen=True, slots=True)
class Way:
    """A private chat of a person with us at Telegram. account: ours; None: the channel's only one. chat: its session's id."""

    account: str | None
    chat: str

    @property
    def name(self) -> str:
        """The account's, as lanes and preferences have it."""
        return self.account or TELEGRAM


async def recipient(conn: Connection, user_id: str | None) -> Recipient:
    """The person of this id, or whom they turned out to be; None: the owner, who holds the web API's token."""
    row = await fetch_one(conn, statement("assistant", "notification/whom"), {"user_id": user_id})
    assert row is not None, "a select of constants returns its row"
    return Recipient(**row)


async def ways_to(conn: Connection, person: Recipient) -> list[Way]:
    """The ways to a person, the one first by which they came last; none: nobody can write to them before they do."""
    rows = await fetch(conn, statement("assistant", "notification/ways"), {"user_id": person.user_id})
    return [Way(**row) for row in rows]
