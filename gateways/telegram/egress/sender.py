"""The sender of channel `telegram`: one delivery, in as many messages as it takes, each once.

    place ─▶ pieces ─┬─ known to be there: passed over ─────────────────────────┐
                     └─ sent with its random id ─┬─ answered ─▶ on record ──────┼─▶ next piece, or Sent
                                                 ├─ RANDOM_ID_DUPLICATE ────────┘
                                                 └─ refused ─▶ NotYet │ Refused │ Blocked

It runs in the process that holds the account. A try that was cut off is repeated in the same words under the same numbers:
pieces whose answers came are on record, and Telegram drops copies of the others.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

from telethon.errors import RPCError

from assistant.content import File
from assistant.deliveries import Delivery
from assistant.files import files_of
from assistant.senders import Answer, NotYet, Refused, Sent
from gateways.telegram.egress.answers import Floods, answer_to
from gateways.telegram.egress.ask import Away
from gateways.telegram.egress.clients import Clients
from gateways.telegram.egress.going import ANSWERS, Going
from gateways.telegram.egress.outbox import Outbox
from gateways.telegram.egress.pieces import file_places, pieces_of
from gateways.telegram.egress.places import Place, SentMessage, find_place, messages_of
from gateways.telegram.egress.progress import Progress
from jobs_core import Connection, Database

_RECONNECTING = timedelta(seconds=2)
_NOT_HERE = timedelta(seconds=5)


class _Known(NamedTuple):
    """What our tables know of a delivery. there, earlier: as Going has them."""

    place: Place
    files: Sequence[File]
    there: Sequence[SentMessage]
    earlier: Sequence[SentMessage]


class TelegramSender:
    """progress: what it takes away where an answer goes out; None: nothing is shown while turns run."""

    remembers = timedelta(hours=1)
    """Nobody documents for how long Telegram does. Its own clients ask again when they were away, so that long at least."""

    def __init__(self, database: Database, clients: Clients, progress: Progress | None = None) -> None:
        self._database = database
        self._clients = clients
        self._progress = progress
        self._floods = Floods()

    async def send(self, delivery: Delivery) -> Answer:
        """As `Sender.send`. Raises OSError where an answer was lost."""
        async with self._database.connection() as conn:
            known = await _look(conn, delivery)
        if isinstance(known, Refused):
            return known
        client = self._clients(known.place.account)
        if client is None:
            reason = f"account {known.place.account} is not connected in this process"
            return NotYet(_NOT_HERE, reason, whole_account=True)
        outbox = Outbox(client, known.place)
        ends_turn = delivery.turn_id if delivery.kind in ANSWERS else None
        if self._progress and ends_turn:
            self._progress.end(ends_turn)
        answer = await self._send(delivery, outbox, known)
        if self._progress and ends_turn and isinstance(answer, Sent):
            await self._progress.take_back(ends_turn, outbox)
        return answer

    async def _send(self, delivery: Delivery, outbox: Outbox, known: _Known) -> Answer:
        pieces = await pieces_of(delivery, known.files, has_buttons=known.place.is_bot)
        if not pieces:
            return Refused("there is nothing in it to be seen: neither text nor files")
        going = Going(self._database, outbox, delivery, known.place, there=known.there, earlier=known.earlier)
        try:
            first = await going.send(pieces)
            return Sent(None if first is None else str(first))
        except Away as away:
            answer: Answer | None = NotYet(_RECONNECTING, str(away), whole_account=True)
        except RPCError as error:
            answer = answer_to(error, known.place, self._floods)
        if answer is None:
            raise ConnectionError("Telegram had an error of its own, and did not say whether it has the message")
        if going.met_copies and delivery.unsure_since is None:
            # Some of it is there, of which we have no record: that a copy of it is dropped holds for an hour only.
            raise ConnectionError("Telegram took a part of it, in a try that was cut off")
        if going.gone and isinstance(answer, Refused):
            return replace(answer, reason=f"{going.gone} of its {len(pieces)} messages had gone: {answer.reason}")
        return answer


async def _look(conn: Connection, delivery: Delivery) -> _Known | Refused:
    place = await find_place(conn, delivery)
    if isinstance(place, Refused):
        return place
    there: dict[int, list[SentMessage]] = {}
    edits = delivery.payload.get("edits")
    if edits is not None or delivery.tries > 1:  # a first try has left nothing
        there = await messages_of(conn, place, [delivery.id] if edits is None else [delivery.id, edits])
    files = await _files(conn, delivery)
    if isinstance(files, Refused):
        return files
    return _Known(place, files, there.get(delivery.id, ()), there.get(edits, ()))


async def _files(conn: Connection, delivery: Delivery) -> list[File] | Refused:
    try:
        places = file_places(delivery.payload)
        found = await files_of(conn, {message_id for message_id, _ in places}) if places else {}
        return [dict(enumerate(found[message_id], 1))[nth] for message_id, nth in places]
    except (LookupError, ValueError):
        return Refused("a file of it is not there (any more)")
