"""One try of a delivery: its pieces go out one after another; as what messages is on record once Telegram has said so."""

from collections.abc import Sequence

from assistant.deliveries import Delivery
from gateways.telegram.egress.copies import find_copy, perhaps
from gateways.telegram.egress.outbox import Outbox
from gateways.telegram.egress.pieces import Piece, TextPiece
from gateways.telegram.egress.places import Place, SentMessage, record_sent
from jobs_core import Database

ANSWERS = {"answer", "failure"}
"""Kinds of what ends a turn."""


class Going:
    """there: as what messages parts of it are known to stand at Telegram; earlier: those that it changes, of another delivery.

    gone: so many of its pieces are there. met_copies: some were there of which nobody knew.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        delivery: Delivery,
        place: Place,
        *,
        there: Sequence[SentMessage],
        earlier: Sequence[SentMessage],
    ) -> None:
        self.gone = 0
        self.met_copies = False
        self._database = database
        self._outbox = outbox
        self._delivery = delivery
        self._place = place
        self._there = {one.random_id: one.message_id for one in there}
        self._earlier = earlier

    async def send(self, pieces: Sequence[Piece]) -> int | None:
        """Send what is not there; returns the first one's id, None where Telegram did not say it. Raises what Outbox does."""
        first: int | None = None
        for n, piece in enumerate(pieces):
            message_id = await self._one(n, piece)
            first = message_id if n == 0 else first
            self.gone += 1
        if extra := [one.message_id for one in self._earlier[len(pieces) :]]:
            await self._outbox.delete(extra)
        return first

    async def _one(self, n: int, piece: Piece) -> int | None:
        if n < len(self._earlier) and isinstance(piece, TextPiece):
            await self._outbox.edit(self._earlier[n].message_id, piece)
            return self._earlier[n].message_id
        if piece.random_ids[0] in self._there:
            return self._there[piece.random_ids[0]]
        sent = await self._outbox.send(piece, reply_to=self._reply_to if n == 0 else None)
        if not sent:
            sent = await self._copy(piece)
        if not sent:
            self.met_copies = True
            return None
        async with self._database.connection() as conn:
            await record_sent(conn, self._delivery, self._place, sent)
        return sent[0].message_id

    async def _copy(self, piece: Piece) -> list[SentMessage]:
        """As what message a text stands there that Telegram took before, if it is found; of files nothing is changed later."""
        if not isinstance(piece, TextPiece):
            return []
        async with self._database.connection() as conn:
            ids = await perhaps(conn, self._delivery, self._place)
        found = await find_copy(self._outbox.client, self._delivery, self._place, piece, ids) if ids else None
        return [found] if found else []

    @property
    def _reply_to(self) -> int | None:
        """What it answers; among others, where nothing else was said, whatever came last from whom it is for."""
        answers = self._delivery.kind in ANSWERS and self._place.is_group
        reply_to: int | None = self._delivery.payload.get("reply_to")
        return reply_to or (self._place.reply_to if answers else None)
