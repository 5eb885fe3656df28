"""Cards of strangers: who somebody says they are, and what became of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from assistant import cards
from assistant.approvals import OWNERS
from assistant.cards import Buttons
from assistant.notifications import notify
from assistant.people import User
from assistant.shown import cut, escaped
from jobs_core import Connection
from jobs_core.wake import Ready

ABOUT = "contact_request"
FIRST_WORDS_CHARS = 300
_MOST_UNITS = 600


async def asked(conn: Connection, user: User, request: Mapping[str, Any]) -> Sequence[Ready]:
    """Ask the owners about a stranger: by cards, or, where none of them is known at Telegram, by a notification."""
    to = await cards.receivers(conn, [OWNERS])
    if to:
        return await cards.show(conn, _about(request), to, _text(user, request), _buttons(user))
    await notify(
        conn,
        user_id=None,
        title=f"Somebody unknown writes by {request['channel']}",
        body=f"{_text(user, request)}\n./jobs user allow {user.id}, or deny, or block",
        category="contact",
        severity="warning",
        metadata={"user_id": user.id},
    )
    return ()


async def counted(conn: Connection, user: User, request: Mapping[str, Any]) -> Sequence[Ready]:
    """Have a stranger's cards say how much of what they say is dropped."""
    fact = f"dropped {request['dropped']}"
    return await cards.change(conn, _about(request), fact, _text(user, request), _buttons(user), may_decide=[OWNERS])


async def decided(conn: Connection, user: User, request: Mapping[str, Any], by: str) -> Sequence[Ready]:
    """Have a stranger's cards say what was decided. by: who it was, as people are told."""
    heading = f"{request['state'].capitalize()} by {escaped(by)}, {request['decided_at']:%Y-%m-%d %H:%M} UTC\n"
    return await cards.change(
        conn, _about(request), request["state"], heading + _text(user, request), may_decide=[OWNERS]
    )


def _about(request: Mapping[str, Any]) -> str:
    return f"{ABOUT}:{request['id']}"


def _text(user: User, request: Mapping[str, Any]) -> str:
    username = f", username as claimed: @{escaped(user.username)}" if user.username else ""
    dropped = f"; {request['dropped']:,} more were dropped" if request["dropped"] else ""
    return (
        f"Somebody unknown writes by {request['channel']}\n"
        f"Number there: {request['address']} ({user.id})\n"
        f"Name as claimed: {escaped(user.name)}{username}\n"
        f"First words: {cut(escaped(request['first_words']), _MOST_UNITS)}\n"
        f"Messages kept: {request['kept']}{dropped}"
    )


def _buttons(user: User) -> Buttons:
    return [[(verb.capitalize(), f"{verb}:{user.id}") for verb in ("allow", "deny", "block")]]
