"""Cards: messages with buttons that show people something to decide, and change when it is decided.

    show ─▶ a delivery of kind `card` to each receiver ─▶ somebody presses a button, or replies (presses.py)
    change ─┬─ certainly not shown yet ─▶ the same delivery says it now
            └─ else ─▶ a delivery that edits the card's message, behind it in its lane

What a card is about has a name, `action:31`, `contact_request:7`; nothing more is known of it here. Both verbs are called in
the transaction of the fact that they tell, by whoever has that locked: a fact is told once, and facts in order. Verbs take the
connection first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assistant.deliveries import owe, payload_text
from assistant.shown import cut
from jobs_core import Connection, execute, fetch, fetch_one, statement
from jobs_core.wake import Ready

MAX_UNITS = 4_000
"""Of a card's text, in UTF-16: it must stay one message, and Telegram's longest is 4,096."""
_MOST_RECEIVERS = 20
NO_LONGER_YOURS = "This is not yours to decide any more."

Buttons = Sequence[Sequence[tuple[str, str]]]
"""Rows of labels, each with its data, of 64 bytes at most."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is shown a card, and by what way. chat: a chat session; None: their own chat with the account."""

    user_id: str
    channel: str
    account: str | None
    chat: str | None


async def receivers(conn: Connection, may_decide: Sequence[str], *, session_id: str | None = None) -> list[Receiver]:
    """Those who may decide (ids of people, and `role:NAME`) and can be shown it at Telegram, twenty at most.

    session_id: of the chat that it comes from; it goes in there if that is a decider's private one. Left out: those of whom it
    is not known by which account of ours they come.
    """
    values = {"may_decide": list(may_decide), "session_id": session_id, "most": _MOST_RECEIVERS}
    return [Receiver(**row) for row in await fetch(conn, statement("assistant", "card/receivers"), values)]


async def show(
    conn: Connection, about: str, to: Sequence[Receiver], text: str, buttons: Buttons, *, again: str = ""
) -> Sequence[Ready]:
    """Owe each of these a card, once; again: a name for why they are shown another one. Returns where its jobs stand ready."""
    ready = list[Ready]()
    for receiver in to:
        owed = await owe(
            conn,
            owed_for=f"card:{about}:{receiver.user_id}{again and f':{again}'}",
            kind="card",
            payload=_payload(text, buttons),
            user_id=receiver.user_id,
            channel=receiver.channel,
            account=receiver.account,
            chat=receiver.chat,
        )
        if owed is None:  # it was before
            continue
        await execute(conn, statement("assistant", "card/add"), {"delivery_id": owed.id, "about": about})
        ready += owed.ready
    return ready


async def show_open(
    conn: Connection,
    about: str,
    found: Sequence[Receiver],
    text: str,
    buttons: Buttons,
    *,
    user_id: str | None,
    anew: str | None,
) -> Sequence[Ready]:
    """Owe a card of what waits already to those of these who have none by an account that is in use.

    user_id: to this person alone. anew: though they have one; a name for why, once each. Returns where its jobs stand ready.
    """
    has = set[str]() if anew else {card["user_id"] for card in await _of(conn, about, ()) if card["in_use"]}
    to = [one for one in found if one.user_id not in has and user_id in (None, one.user_id)]
    again = anew or "at " + ",".join(sorted({one.account or one.channel for one in to}))
    return await show(conn, about, to, text, buttons, again=again)


async def change(
    conn: Connection, about: str, fact: str, text: str, buttons: Buttons = (), *, may_decide: Sequence[str]
) -> Sequence[Ready]:
    """Have all cards about it say this from now on, with these buttons. fact: a name for what is told, new for each.

    may_decide: as for `receivers`. Whoever is none of them any more is told just that. Returns where jobs stand ready.
    """
    ready = list[Ready]()
    for card in await _of(conn, about, may_decide):
        payload = _payload(text, buttons) if card.pop("may") else _payload(NO_LONGER_YOURS, ())
        del card["in_use"]
        ready += await _change(conn, card, fact, payload)
    return ready


async def is_shown(conn: Connection, about: str) -> bool:
    """Whether anybody was shown a card about it."""
    return bool(await _of(conn, about, ()))


async def about(conn: Connection, delivery_id: int) -> str | None:
    """What the card is about that this delivery is; None: it is none."""
    row = await fetch_one(conn, statement("assistant", "card/about"), {"delivery_id": delivery_id})
    return row["about"] if row else None


async def _of(conn: Connection, about: str, may_decide: Sequence[str]) -> Sequence[dict[str, Any]]:
    return await fetch(conn, statement("assistant", "card/of"), {"about": about, "may_decide": list(may_decide)})


def _payload(text: str, buttons: Buttons) -> dict[str, Any]:
    rows = [[{"label": label, "data": data} for label, data in row] for row in buttons]
    return {"text": cut(text, MAX_UNITS), "markdown": False} | ({"buttons": rows} if rows else {})


async def _change(conn: Connection, card: dict[str, Any], fact: str, payload: dict[str, Any]) -> Sequence[Ready]:
    first, latest = card.pop("delivery_id"), card.pop("latest_id")
    edit = payload | {"edits": first}
    values = {"id": latest, "payload": payload_text(payload if latest == first else edit), "is_card": latest == first}
    if await execute(conn, statement("assistant", "card/rewrite"), values):
        return ()
    owed = await owe(conn, owed_for=f"card:{first}:{fact}", kind="card", payload=edit, **card)
    if owed is None:  # it was told before: a state that somebody has put back by hand must not stop a run
        return ()
    await execute(conn, statement("assistant", "card/follow"), {"delivery_id": first, "latest_id": owed.id})
    return owed.ready
