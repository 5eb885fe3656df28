"""Cards of strangers: who somebody says they are, and what became of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from assistant import cards
from assistant.approvals import OWNERS
from assistant.cards import Buttons
from assistant.notifications import notify
from assistant.people import User
from assistant.shown import cut, escaped
from jobs_core import Connection, fetch, statement
from jobs_core.wake import Ready

ABOUT = "contact_request"
FIRST_WORDS_CHARS = 300
_MOST_UNITS = 600
_MOST_OPEN = 20
"""Cards of strangers who wait already; the others are in the list."""
_OF_USERS = ("name", "username", "role", "tg_user_id", "created_at", "seen_at", "admission")


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


async def hold_open(conn: Connection) -> Sequence[dict[str, Any]]:
    """What is open about strangers, who are held: nobody decides about them until the caller's transaction ends.

    Who shows other cards before theirs calls this first: people are locked before lanes.
    """
    return await fetch(conn, statement("assistant", "contact_request/hold_open"), {"limit": _MOST_OPEN})


async def show_open(conn: Connection, *, user_id: str | None = None, anew: str | None = None) -> Sequence[Ready]:
    """Owe cards of strangers who wait to owners who can be shown them only now; as `action_cards.show_open`."""
    ready, to = list[Ready](), await cards.receivers(conn, [OWNERS])
    for row in await hold_open(conn):
        user = User(row.pop("user_id"), **{name: row.pop(name) for name in _OF_USERS})
        text, buttons = _text(user, row), _buttons(user)
        ready += await cards.show_open(conn, _about(row), to, text, buttons, user_id=user_id, anew=anew)
    return ready


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
