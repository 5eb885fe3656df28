"""Notifications: what a person is told without having asked. One is read on the web, and owed to their other channels.

Verbs take the connection first: the caller owns the transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from assistant.deliveries import owe
from jobs_core import Connection, execute, fetch, fetch_one, gate, statement

Severity = Literal["info", "warning", "error"]

MAX_TITLE_CHARS, MAX_BODY_CHARS = 200, 20_000
_MAX_METADATA_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Notification:
    """What somebody is told. user_id: whom; None: the owner. category: what it is about, a name that people filter by."""

    id: int
    user_id: str | None
    title: str
    body: str
    category: str
    severity: Severity
    read: bool
    metadata: Any
    created_at: datetime


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
) -> int:
    """Tell somebody, the owner where `user_id` is None, and owe it to their channels; returns the notification's id.

    Call it inside a transaction: both are written or neither. Title and body are cut to 200 and 20,000 characters. Raises
    InvalidInput for a category or metadata that cannot be stored.
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
    payload = {"notification_id": row["id"], "title": title, "text": body}
    owed_for = f"notification:{row['id']}"
    await owe(conn, owed_for=owed_for, kind="notification", payload=payload, user_id=user_id, turn_id=turn_id)
    return int(row["id"])


async def list_notifications(
    conn: Connection,
    *,
    user_id: str | None = None,
    unread: bool = False,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Notification]:
    """The newest notifications, of one user or of all, newest first; page on with the last one's id as `before_id`."""
    values = {"user_id": user_id, "unread": unread, "before_id": before_id, "limit": limit}
    return [Notification(**row) for row in await fetch(conn, statement("assistant", "notification/list"), values)]


async def mark_read(conn: Connection, notification_id: int) -> bool:
    """Note that it was read; False where there is no such notification."""
    return bool(await execute(conn, statement("assistant", "notification/mark_read"), {"id": notification_id}))
