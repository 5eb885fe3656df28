"""Notifications: what a person is told without having asked. All are on the web; what else becomes of one, `routing` decides.

Ids are drawn before they are committed, so that who has read up to one may have missed a lower one. `place` gives each that is
committed its place in the order of reading, one caller at a time: what has a place later was not to be seen before. Verbs take
the connection first: the caller owns the transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from assistant import callback_events
from assistant.deliveries import Delivery
from assistant.preferences import Severity
from assistant.recipients import Recipient
from assistant.routing import News, route
from jobs_core import Connection, execute, fetch, fetch_one, gate, statement

__all__ = ["Notification", "Severity", "notify"]

MAX_TITLE_CHARS, MAX_BODY_CHARS = 200, 20_000
MOST_COUNTED = 10_000
_MAX_METADATA_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Notification:
    """What somebody is told. user_id: whom; None: the owner. category: what it is about, a name that people filter by.

    seq: its place in the order of reading; None: nobody has read in that order since it came.
    """

    id: int
    user_id: str | None
    title: str
    body: str
    category: str
    severity: Severity
    read: bool
    metadata: Any
    created_at: datetime
    seq: int | None


async def notify(
    conn: Connection,
    *,
    user_id: str | None,
    title: str,
    body: str,
    category: str,
    severity: Severity = "info",
    metadata: Mapping[str, Any] | None = None,
    turn_id: UUID | None = None,
    failed: Delivery | None = None,
    not_by: str | None = None,
) -> int:
    """Tell somebody, the owner where `user_id` is None, as they have said they are told; returns the notification's id.

    failed: the delivery that it tells of: it does not go by the way that failed. not_by: nor by this account of ours. With
    `"carded": True` in its metadata the person is shown a card of it, and it stays on the web. Call it late in a transaction:
    it is written with what sends it, or neither. Title and body are cut to 200 and 20,000 characters. Raises InvalidInput for a
    category or metadata that cannot be stored.
    """
    title, body = gate.clean_text(title, max_chars=MAX_TITLE_CHARS), gate.clean_text(body, max_chars=MAX_BODY_CHARS)
    values = {
        "user_id": user_id,
        "title": title,
        "body": body,
        "category": gate.check_name(category, field="category"),
        "severity": severity,
        "metadata": gate.to_json(dict(metadata or {}), field="metadata", max_bytes=_MAX_METADATA_BYTES),
    }
    row = await fetch_one(conn, statement("assistant", "notification/notify"), values)
    assert row is not None, "an insert without a condition returns its row"
    if not (metadata and metadata.get("carded")):
        news = News(row["id"], title, body, category, severity, row["created_at"], turn_id, not_by, failed)
        await route(conn, user_id, news)
    if (
        failed is None or failed.channel != callback_events.CHANNEL
    ):  # in an outage each would be told that all others fail
        said = {"user_id": user_id, "title": title, "body": body, "category": category, "severity": severity}
        await callback_events.notified(conn, row["id"], said)
    return int(row["id"])


async def list_notifications(
    conn: Connection,
    *,
    of: Recipient | None = None,
    unread: bool = False,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Notification]:
    """The newest notifications, of one person or of all, newest first; page on with the last one's id as `before_id`."""
    values = {**_whose(of), "unread": unread, "before_id": before_id, "limit": limit}
    return [Notification(**row) for row in await fetch(conn, statement("assistant", "notification/list"), values)]


async def find_notification(conn: Connection, notification_id: int) -> Notification | None:
    """The notification; None where there is none."""
    row = await fetch_one(conn, statement("assistant", "notification/find"), {"id": notification_id})
    return Notification(**row) if row else None


async def notifications_after(
    conn: Connection, of: Recipient, after: int, *, upto: int | None = None, limit: int = 50
) -> list[Notification]:
    """A person's notifications behind that place, and no further than `upto`, in the order of places."""
    values = {**of.theirs, "after": after, "upto": upto, "limit": limit}
    return [Notification(**row) for row in await fetch(conn, statement("assistant", "notification/after"), values)]


async def place(conn: Connection) -> int:
    """Give a place to what has none, 50,000 at most; returns the last place that is taken, 0 where none is.

    All that is read up to there, and no more of it will ever be: one caller places at a time, and is committed before the next.
    """
    row = await fetch_one(conn, statement("assistant", "notification/last_place"))
    assert row is not None, "a select of constants returns its row"
    if row["all_placed"]:
        return int(row["seq"])
    async with conn.transaction():
        await execute(conn, statement("assistant", "notification/lock_places"))
        await execute(conn, statement("assistant", "notification/place"))
        row = await fetch_one(conn, statement("assistant", "notification/last_place"))
    assert row is not None, "a select of constants returns its row"
    return int(row["seq"])


async def count_unread(conn: Connection, of: Recipient) -> int:
    """How many this person has not read, 10,000 at most: that many are many."""
    row = await fetch_one(conn, statement("assistant", "notification/count_unread"), of.theirs | {"most": MOST_COUNTED})
    assert row is not None, "a count returns its row"
    return int(row["unread"])


async def mark_read(conn: Connection, notification_id: int, *, of: Recipient | None = None) -> bool:
    """Note that it was read; False where there is no such notification, or it is not this person's (None: whoever's)."""
    values = {**_whose(of), "id": notification_id}
    return bool(await execute(conn, statement("assistant", "notification/mark_read"), values))


async def mark_all_read(
    conn: Connection, of: Recipient, *, up_to_id: int | None = None, category: str | None = None
) -> int | None:
    """Note that a person has read all up to this one, or all there are, of one category or of any; returns how many more.

    Up to: by place. What was committed after that one, and has a lower id, is not among them. None: it is none of theirs.
    """
    await place(conn)
    values = {**of.theirs, "up_to_id": up_to_id, "category": category}
    row = await fetch_one(conn, statement("assistant", "notification/mark_all_read"), values)
    assert row is not None, "a select of constants returns its row"
    return int(row["marked"]) if up_to_id is None or row["known"] else None


def _whose(of: Recipient | None) -> dict[str, Any]:
    return {"anybodys": of is None, **(of.theirs if of else {"user_id": None, "is_owner": False})}
