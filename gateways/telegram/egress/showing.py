"""One chat whose turn runs: what it shows by now, the message that shows it, and when that may be changed again."""

import asyncio
import json
import secrets
import time
from dataclasses import dataclass, field
from uuid import UUID

from gateways.telegram.egress.glimpse import glimpse
from gateways.telegram.egress.outbox import Outbox
from gateways.telegram.egress.pieces import TextPiece
from gateways.telegram.egress.places import Place
from gateways.telegram.egress.progress_rows import find_progress, put_progress
from gateways.telegram.egress.styled import Styled
from jobs_core import Database
from sessions.live_rows import LiveRow
from sessions.live_rows import Place as Read
from sessions.shown import Shown

EVERY_S, GROUP_EVERY_S = 0.9, 4.0
"""Between two edits in a chat: Telegram takes about one a second, and of a group 20 messages a minute, answers among them."""
FIRST_S = 1.0
"""A turn that is over sooner shows its answer only."""
TYPING_S = 5.0
"""Telegram shows it for 6 s."""
SILENT_S = 60.0
"""A turn that has said nothing for so long is forgotten here: it waits for somebody. It is shown again when it goes on."""


@dataclass(eq=False)
class Showing:
    """read: how far in what its runs wrote. news_s: when it said something last. muted: nothing more is shown of this turn."""

    chat: str
    place: Place
    read: Read
    turn_id: UUID | None = None
    muted: bool = False
    task: asyncio.Task[None] | None = None
    news_s: float = field(default_factory=time.monotonic)
    _shown: Shown = field(default_factory=Shown)
    _message_id: int | None = None
    _began_s: float = 0.0
    _changed: bool = False
    _text: str = ""
    _typed_s: float = float("-inf")

    @property
    def every_s(self) -> float:
        """How often its message may be changed."""
        return GROUP_EVERY_S if self.place.is_group else EVERY_S

    def take(self, row: LiveRow) -> None:
        """Take in what a run has written; one of another turn begins anew."""
        if row.turn_id != self.turn_id:
            self.turn_id, self.muted, self._message_id, self._text = row.turn_id, False, None, ""
            self._began_s = time.monotonic()
        if row.token != self.read.token:
            self._shown = Shown()
        self.read = Read(row.token, row.seq)
        self.news_s, self._changed = time.monotonic(), True
        for kind, about in json.loads(row.events):
            self._shown.apply(kind, about)

    @property
    def is_due(self) -> bool:
        """Whether there may be something new to show, or that it is still at work."""
        if self.turn_id is None or self.muted or (self.task and not self.task.done()):
            return False
        return self.has_news or self._types

    @property
    def has_news(self) -> bool:
        """Whether it has said something since it was shown last; of a turn that is over at once nothing is shown."""
        return self._changed and time.monotonic() - self._began_s > FIRST_S

    @property
    def _types(self) -> bool:
        status = self._shown.status
        waits = status is not None and status["state"] == "waiting_for_approval"
        return not waits and time.monotonic() - self._typed_s > TYPING_S

    async def show(self, outbox: Outbox, database: Database) -> None:
        """Bring its message up to date, and say that it is at work. Raises what Outbox does."""
        if self.has_news:
            self._changed = False
            try:
                await self._bring(outbox, database, glimpse(self._shown, among_others=self.place.is_group))
            except BaseException:
                self._changed = True
                raise
        if self._types:
            self._typed_s = time.monotonic()
            await outbox.show_typing()

    async def _bring(self, outbox: Outbox, database: Database, text: str) -> None:
        if text in {"", self._text}:
            return
        turn_id, piece = self.turn_id, TextPiece(Styled(text), secrets.randbits(63))
        assert turn_id is not None, "what has news has a turn"
        message_id = self._message_id
        if message_id is None:
            async with database.connection() as conn:
                message_id = await find_progress(conn, turn_id, self.place)
        if message_id is not None:
            await outbox.edit(message_id, piece)
        elif sent := await outbox.send(piece):
            message_id = sent[0].message_id
            async with database.connection() as conn:
                await put_progress(conn, turn_id, self.place, message_id)
        if turn_id == self.turn_id:  # the next one may have begun meanwhile
            self._message_id, self._text = message_id, text
