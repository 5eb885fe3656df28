"""As what message a delivery stands at Telegram that refused to take it twice: it says that it is there, and not where.

A message's id is greater than all that were known when its first try began. Those behind that are asked for which are nobody's
we know, in one request; bots may do that, too. What says the same words in the same chat since then is it: a chat's deliveries
go out one after another. Where nothing is found its id stays unknown, and what would change it goes as a message of its own.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from telethon import TelegramClient, functions, types, utils
from telethon.errors import RPCError

from assistant.deliveries import Delivery
from gateways.telegram.egress.ask import ANSWER_S, Away, ask
from gateways.telegram.egress.pieces import TextPiece
from gateways.telegram.egress.places import Place, SentMessage
from gateways.telegram.session import OWN
from jobs_core import Connection, db, fetch, statement

log = structlog.get_logger()

_MOST_IDS = 100
"""What Telegram is asked for at once."""
_SPAN = 1_000
"""Of ids, behind the newest one known: an account that got more messages between a try and the next is not looked through."""
_CLOCKS = timedelta(minutes=1)
"""Telegram's may differ from Postgres' by so much."""


async def perhaps(conn: Connection, delivery: Delivery, place: Place) -> list[int]:
    """The ids that a message of this delivery may have, which nobody knows."""
    values = {
        "account": place.account,
        "peer_id": place.chat_id if _is_supergroup(place) else OWN,
        "since": _since(delivery),
        "span": _SPAN,
        "most": _MOST_IDS,
    }
    return [row["message_id"] for row in await fetch(conn, statement("gateways", "delivery/perhaps"), values)]


async def find_copy(
    client: TelegramClient, delivery: Delivery, place: Place, piece: TextPiece, ids: list[int]
) -> SentMessage | None:
    """As which of these ids the piece stands there; None: it is not found. Raises nothing: the piece is there in any case."""
    try:
        answer = await ask(client, _request(place, ids))
    except (RPCError, Away, OSError) as error:
        log.warning("delivery.copy_not_found", delivery=delivery.id, error=db.describe(error))
        return None
    since = _since(delivery) - _CLOCKS
    for message in sorted(answer.messages, key=lambda one: int(one.id)):
        if isinstance(message, types.Message) and message.out and message.date >= since:
            is_there = utils.get_peer_id(message.peer_id) == place.chat_id
            if is_there and message.message.strip() == piece.text.text.strip():
                return SentMessage(message.id, piece.random_id)
    return None


def _request(place: Place, ids: list[int]) -> Any:
    wanted = [types.InputMessageID(one) for one in ids]
    if not _is_supergroup(place):
        return functions.messages.GetMessagesRequest(wanted)
    channel = types.InputChannel(place.peer.channel_id, place.peer.access_hash)
    return functions.channels.GetMessagesRequest(channel, wanted)


def _is_supergroup(place: Place) -> bool:
    return isinstance(place.peer, types.InputPeerChannel)


def _since(delivery: Delivery) -> datetime:
    """When the first try began that may have arrived; one without an end is this one: Telethon asks again by itself."""
    return delivery.unsure_since or datetime.now(UTC) - timedelta(seconds=2 * ANSWER_S)
