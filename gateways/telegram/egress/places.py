"""Where a delivery goes at Telegram: the chat of a session, or a person's own; and as what messages it went there before.

Verbs take the connection first.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from telethon import types, utils

from assistant.deliveries import Delivery
from assistant.errors import NoSuchUser
from assistant.people import TELEGRAM, channels, get, list_users
from assistant.senders import Refused
from jobs_core import Connection, execute, fetch, fetch_one, statement


@dataclass(frozen=True, slots=True)
class Place:
    """A chat at Telegram. chat_id: marked, as Telethon does. access_hash: None where none is known, 0 will do for bots.

    reply_to: the message that is answered there; None: none.
    """

    account: str
    is_bot: bool
    chat_id: int
    access_hash: int | None
    topic_id: int = 0
    reply_to: int | None = None

    @property
    def is_group(self) -> bool:
        """Whether others read it, too."""
        return self.chat_id < 0

    @property
    def peer(self) -> Any:
        """As a request names it."""
        chat_id, kind = utils.resolve_id(self.chat_id)
        if kind is types.PeerChat:
            return types.InputPeerChat(chat_id)
        named = types.InputPeerChannel if kind is types.PeerChannel else types.InputPeerUser
        return named(chat_id, self.access_hash or 0)


class SentMessage(NamedTuple):
    """As what a part of a delivery stands at Telegram."""

    message_id: int
    random_id: int


async def find_place(conn: Connection, delivery: Delivery) -> Place | Refused:
    """Where it goes; Refused, and what to do, where it can go nowhere."""
    if delivery.chat is None:
        return await _own_chat(conn, delivery)
    place = (await chat_places(conn, [delivery.chat])).get(delivery.chat)
    if place is None:
        return Refused(
            f"chat {delivery.chat!r} is at no account of Telegram: nobody has written in it from there, or the "
            "number there was unlinked from its person: ./jobs user link it again, then send it again"
        )
    return _named(place)


async def chat_places(conn: Connection, session_ids: Collection[str]) -> dict[str, Place]:
    """Where chat sessions lie; not in it: those that are not at Telegram, or with a number that is unlinked."""
    rows = await fetch(conn, statement("gateways", "delivery/places_of_chats"), {"session_ids": list(session_ids)})
    return {
        row["session_id"]: Place(
            row["account"], row["kind"] == "bot", row["chat_id"], row["access_hash"], row["topic_id"], row["reply_to"]
        )
        for row in rows
    }


async def _own_chat(conn: Connection, delivery: Delivery) -> Place | Refused:
    whose = delivery.user_id or "the owner"
    tg_user_id = await _telegram_number(conn, delivery)
    if tg_user_id is None:
        return Refused(f"{whose} has no number at Telegram: they write to this account first, then send it again")
    values = {"account": delivery.account, "tg_user_id": tg_user_id}
    row = await fetch_one(conn, statement("gateways", "delivery/place_of_person"), values)
    if row is None:
        return Refused(f"there is no account {delivery.account or 'of Telegram'!r}: ./jobs telegram login adds one")
    return _named(Place(row["account"], row["kind"] == "bot", tg_user_id, row["access_hash"]))


async def _telegram_number(conn: Connection, delivery: Delivery) -> int | None:
    """A person's number at Telegram; the owner's, where nobody is named: of several that of who came first.

    What changes a message goes to the number which was shown that, if it is theirs still: they may have paired another.
    """
    if delivery.user_id is None:
        numbers = [one.tg_user_id for one in await list_users(conn, role="owner") if one.tg_user_id is not None]
        return numbers[-1] if numbers else None
    try:
        user = await get(conn, delivery.user_id)
    except NoSuchUser:
        return None
    values = {"delivery_id": delivery.payload.get("edits")}
    shown = await fetch_one(conn, statement("gateways", "delivery/shown_in"), values)
    if shown and (TELEGRAM, str(shown["chat_id"])) in {
        (one.channel, one.address) for one in await channels(conn, user.id)
    }:
        return int(shown["chat_id"])
    return user.tg_user_id


def _named(place: Place) -> Place | Refused:
    if place.access_hash is None and not place.is_bot and not isinstance(place.peer, types.InputPeerChat):
        return Refused(f"account {place.account} has not met {place.chat_id} yet: they write to it first")
    return place


async def messages_of(conn: Connection, place: Place, delivery_ids: Collection[int]) -> dict[int, list[SentMessage]]:
    """As what messages deliveries are known to stand there, by delivery, in order."""
    found = defaultdict[int, list[SentMessage]](list)
    values = {"delivery_ids": list(delivery_ids), "account": place.account, "chat_id": place.chat_id}
    for row in await fetch(conn, statement("gateways", "delivery/messages"), values):
        found[row["delivery_id"]].append(SentMessage(row["message_id"], row["random_id"]))
    return found


async def record_sent(conn: Connection, delivery: Delivery, place: Place, sent: Sequence[SentMessage]) -> None:
    """Note as what messages a part of a delivery went out."""
    values = {
        "account": place.account,
        "chat_id": place.chat_id,
        "topic_id": place.topic_id,
        "session_id": delivery.chat,
        "delivery_id": delivery.id,
        "message_ids": [one.message_id for one in sent],
        "random_ids": [one.random_id for one in sent],
    }
    await execute(conn, statement("gateways", "delivery/record"), values)
