"""Who hears of it that something did not arrive: the owner by a notification, the chat's agent in its next prompt.

The owner is told once for each lane and state, until something arrives there again: of a person who has blocked us, not of each
word that they did not get. Verbs take the connection first.
"""

from uuid import UUID

import structlog

from assistant import metrics
from assistant.deliveries import Delivery
from assistant.notifications import notify
from jobs_core import Connection, execute, fetch, statement

log = structlog.get_logger()

_NOTICES = ("notification:", "digest:")
"""What deliveries of notifications are owed for."""
_SHOWN = 5  # to an agent: the newest; of more it is told how many
_SHOWN_CHARS = 80
_NAMES = {"answer": "your answer", "failure": "the word that there is no answer", "notification": "a notice"}


async def note_end(conn: Connection, delivery: Delivery) -> None:
    """Tell the owner of a delivery that has just ended, where it did not arrive and that is news.

    Call it in the transaction that ends it.
    """
    metrics.deliveries.labels(delivery.channel or "", delivery.state).inc()
    log.info("delivery.ended", delivery=delivery.id, state=delivery.state, channel=delivery.channel)
    if delivery.state == "sent":
        await execute(conn, statement("assistant", "delivery/over"), {"lane": delivery.lane})
        return
    values = {"lane": delivery.lane, "state": delivery.state, "delivery_id": delivery.id}
    is_news = await execute(conn, statement("assistant", "delivery/trouble"), values)
    if not is_news or delivery.owed_for.startswith(_NOTICES):  # or telling of it might fail in the same way
        return
    await notify(
        conn,
        user_id=None,
        title=f"Not delivered by {delivery.channel}: {delivery.state}",
        body=f"Delivery {delivery.id} ({delivery.kind}) to {delivery.chat or delivery.user_id or 'the owner'} is "
        f"{delivery.state}: {delivery.said}. You hear of this chat again when something arrives there, or this changes. "
        f"Look: ./jobs deliveries show {delivery.id}. Send it again: ./jobs deliveries retry {delivery.id}",
        category="delivery",
        severity="warning" if delivery.state == "blocked" else "error",
        metadata={"delivery": delivery.id, "state": delivery.state},
        failed=delivery,
    )


async def tell_agent(conn: Connection, chat: str, turn_id: UUID) -> None:
    """Have the prompt of a turn that begins tell of what did not arrive in its chat since the last one that did."""
    await execute(conn, statement("assistant", "delivery/tell"), {"chat": chat, "turn_id": turn_id})


async def told_in(conn: Connection, chat: str, turn_id: UUID) -> str | None:
    """What the turn's prompt tells its agent of that; the same for each run of the turn. None: everything arrived."""
    values = {"chat": chat, "turn_id": turn_id, "chars": _SHOWN_CHARS}
    rows = await fetch(conn, statement("assistant", "delivery/told"), values)
    if not rows:
        return None
    count = f"{len(rows)} messages did" if len(rows) > 1 else "one message did"
    lines = [
        f"- {_NAMES[row['kind']]} of {row['created_at']:%Y-%m-%d %H:%M} UTC, {' '.join((row['text'] or '').split())!r}: "
        f"{row['state']} ({row['said']})"
        for row in rows[-_SHOWN:]
    ]
    return "\n".join(
        [f"(A note of this program, not of the person who writes: {count} not surely arrive in this chat.", *lines, ")"]
    )
