"""Deliveries: what is owed to somebody outside, recorded in the transaction that makes it owed, and sent later.

    settle: answer, job's end, delivery owed ─▶ sent │ failed │ unknown │ blocked        (who sends is a gateway's egress)

A delivery is owed once, whatever is repeated: `owed_for` names what for. The number by which a receiver tells a second copy is
drawn with the row, so that each try shows the same. Verbs take the connection first.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import PlainSerializer

from jobs_core import Connection, execute, fetch, gate, statement

Kind = Literal["answer", "failure", "notification"]
State = Literal["owed", "sent", "failed", "unknown", "blocked"]
STATES: tuple[State, ...] = ("owed", "sent", "failed", "unknown", "blocked")

_MAX_PAYLOAD_BYTES = 8 * 1024 * 1024  # of an answer of a million characters, each escaped or of four bytes
_RANDOM_BITS = 63  # what a bigint holds, and Telegram takes


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something owed. `channel`, `account`: None where that is decided before the first try.

    chat: the chat session that it goes to; None: the person's own. user_id: whom it is owed to; None, where `chat` is too: the
    owner. random_id: by which the receiver tells a second copy. turn_id: the turn that owes it.
    """

    id: int
    owed_for: str
    channel: str | None
    account: str | None
    chat: str | None
    user_id: str | None
    kind: Kind
    payload: Any
    random_id: Annotated[int, PlainSerializer(str, when_used="json")]  # more digits than most JSON readers keep
    state: State
    turn_id: UUID | None
    created_at: datetime


async def owe(
    conn: Connection,
    *,
    owed_for: str,
    kind: Kind,
    payload: dict[str, Any],
    user_id: str | None,
    channel: str | None = None,
    account: str | None = None,
    chat: str | None = None,
    turn_id: UUID | None = None,
) -> bool:
    """Record what is owed; False where it was before. Raises InvalidInput for a payload that JSON or Postgres cannot hold."""
    values = {
        "owed_for": owed_for,
        "channel": channel,
        "account": account,
        "chat": chat,
        "user_id": user_id,
        "kind": kind,
        **_sealed(payload),
        "turn_id": turn_id,
    }
    return bool(await execute(conn, statement("assistant", "delivery/owe"), values))


async def owe_reply(conn: Connection, session_id: str, turn_id: UUID, kind: Kind, text: str) -> None:
    """Owe what a turn ended with to its chat, once; nothing where the chat is on the web, which reads its history."""
    values = {"session_id": session_id, "turn_id": turn_id, "kind": kind, **_sealed({"text": text})}
    await execute(conn, statement("assistant", "delivery/owe_reply"), values)


async def owe_remark(conn: Connection, session_id: str, message_id: int, text: str) -> None:
    """Owe a line of a chat that ended no turn; nothing where the chat is on the web."""
    values = {"session_id": session_id, "message_id": message_id, **_sealed({"text": gate.clean_text(text)})}
    await execute(conn, statement("assistant", "delivery/owe_remark"), values)


async def list_deliveries(
    conn: Connection, *, state: State | None = None, before_id: int | None = None, limit: int = 50
) -> list[Delivery]:
    """The newest deliveries, newest first; page on with the last one's id as `before_id`."""
    values = {"state": state, "before_id": before_id, "limit": limit}
    return [Delivery(**row) for row in await fetch(conn, statement("assistant", "delivery/list"), values)]


def _sealed(payload: dict[str, Any]) -> dict[str, Any]:
    """What is sent, and the number that it is known by."""
    text = gate.to_json(payload, field="payload", max_bytes=_MAX_PAYLOAD_BYTES)
    return {"payload": text, "random_id": secrets.randbits(_RANDOM_BITS)}
