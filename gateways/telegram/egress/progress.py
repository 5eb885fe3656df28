"""How turns go, shown in their chats while they run: one message a turn, edited, and taken back when the answer is there.

    look: what runs wrote, in all chats of this process' accounts ─▶ shown ─▶ due? ─▶ sent or edited ─▶ sleep 0.1 s ─┐
      ▲                                                                                                              │
      └──────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
    the sender: end(turn) ─▶ the answer goes out ─▶ take_back(turn)

It is a glimpse, and no delivery: what cannot be shown is not, and it never keeps an answer waiting. Edits are coalesced: one a
second in a chat, one in four seconds in a group, 20 a second of all. Where Telegram asks to wait, the account shows nothing
until then. Which message it is stands in a table, so that it is taken back after a crash, too; what was sent and not recorded
stays.
"""

import asyncio
import time
from uuid import UUID

import structlog
from telethon.errors import FloodError, RPCError

from assistant.ends import newest_ends
from gateways.telegram.egress.ask import Away, name_of
from gateways.telegram.egress.clients import Clients
from gateways.telegram.egress.outbox import Outbox
from gateways.telegram.egress.places import chat_places
from gateways.telegram.egress.progress_rows import take_progress
from gateways.telegram.egress.showing import SILENT_S, Showing
from jobs_core import Connection, Database, db
from jobs_core.tasks import cancel, end_task
from sessions.live_rows import LiveRow, live_news, newest_runs, recent_topics

log = structlog.get_logger()

BETWEEN_S, IDLE_S = 0.1, 0.25
"""Between two looks: while a turn is shown, and where none is."""
MOST_A_LOOK = 2
"""Edits begun in one look: 20 a second, of the 30 that Telegram takes of a bot."""
RECENT_S = 2.0
_AWAY_S = 1.0
_TAKE_BACK_S = 5.0
_MOST_ROWS = 500
_MOST_ENDED = 10_000
"""Turns that are known to have ended: 16 of each chat that begins to be shown, and those whose answers went out."""


class Progress:
    """A resource of the process that holds accounts."""

    def __init__(self, database: Database, clients: Clients) -> None:
        self._database = database
        self._clients = clients
        self._showing = dict[str, Showing]()
        self._elsewhere = set[str]()  # chats in which something is said now, and that are not ours to show
        self._ended = dict[UUID, None]()
        self._late = dict[UUID, asyncio.Task[None]]()  # what still shows turns that have ended
        self._next_s = dict[tuple[str, int], float]()  # when a chat at Telegram may be changed again
        self._floods_s = dict[str, float]()  # until when an account shows nothing
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._looking = asyncio.create_task(self._run(), name="telegram progress")

    async def lease_lost(self) -> None:
        """Nothing: who holds the account says whether there is a client."""

    async def stop(self) -> None:
        """Show nothing more. What is shown stays, and goes on in the next process."""
        if self._looking:
            await end_task(self._looking)
        await cancel([*self._late.values(), *(one.task for one in self._showing.values() if one.task)])

    def end(self, turn_id: UUID) -> None:
        """Show nothing more of a turn: its end goes out now."""
        self._note_ended(turn_id)
        for chat, one in list(self._showing.items()):
            if one.turn_id == turn_id:
                del self._showing[chat]
                if one.task and not one.task.done():
                    self._late[turn_id] = one.task
                    one.task.add_done_callback(lambda _task: self._late.pop(turn_id, None))

    async def take_back(self, turn_id: UUID, outbox: Outbox) -> None:
        """Delete the message that showed a turn; where that fails it stays."""
        try:
            if late := self._late.get(turn_id):  # what it sends now is on record before it is looked for
                await asyncio.wait({late}, timeout=_TAKE_BACK_S)
            async with self._database.connection() as conn:
                message_id = await take_progress(conn, turn_id)
            if message_id is not None:
                async with asyncio.timeout(_TAKE_BACK_S):
                    await outbox.delete([message_id])
        except Exception as error:  # noqa: BLE001 - the answer is there, and that counts
            log.warning("progress.not_taken_back", turn_id=str(turn_id), error=db.describe(error))

    async def _run(self) -> None:
        away = False
        while True:
            try:
                await self.run_once()
                away = False
            except Exception as error:  # noqa: BLE001 - what is shown of turns is worth no more than a line of the log
                if not away:
                    log.warning("progress.not_shown", error=db.describe(error))
                away = True
            await asyncio.sleep(_AWAY_S if away else BETWEEN_S if self._showing else IDLE_S)

    async def run_once(self) -> None:
        """Look once for all chats, and begin to show what is due."""
        async with self._database.connection() as conn:
            await self._begin_new(conn)
            places = {chat: one.read for chat, one in self._showing.items()}
            rows = await live_news(conn, places, most=_MOST_ROWS) if places else []
        for row in rows:
            if row.topic in self._showing:
                self._take(row)
        now_s = time.monotonic()
        self._showing = {
            chat: one
            for chat, one in self._showing.items()
            if now_s - one.news_s < SILENT_S or (one.task and not one.task.done())
        }
        self._show(now_s)

    async def _begin_new(self, conn: Connection) -> None:
        recent = await recent_topics(conn, within_s=RECENT_S)
        self._elsewhere &= recent
        new = recent - self._showing.keys() - self._elsewhere
        if not new:
            return
        places = await chat_places(conn, new)
        self._elsewhere |= new - places.keys()
        ours = {chat: place for chat, place in places.items() if self._clients(place.account)}
        ended = await newest_ends(conn, ours)
        for chat, read in (await newest_runs(conn, ours)).items():
            for turn_id in ended.get(chat, {}).values():
                self._note_ended(turn_id)
            self._showing[chat] = Showing(chat, ours[chat], read)

    def _note_ended(self, turn_id: UUID) -> None:
        self._ended[turn_id] = None
        if len(self._ended) > _MOST_ENDED:
            del self._ended[next(iter(self._ended))]

    def _take(self, row: LiveRow) -> None:
        one = self._showing[row.topic]
        try:
            one.take(row)
        except Exception:  # of another version's making, perhaps; others must not suffer for it
            log.exception("progress.broke", chat=one.chat)
            del self._showing[one.chat]
            self._elsewhere.add(one.chat)
            return
        one.muted = one.muted or row.turn_id in self._ended

    def _show(self, now_s: float) -> None:
        """Begin with those that have waited longest."""
        self._next_s = {chat: next_s for chat, next_s in self._next_s.items() if next_s > now_s}
        due = sorted((one for one in self._showing.values() if one.is_due), key=self._may_s)
        for one in due[:MOST_A_LOOK]:
            client = self._clients(one.place.account)
            if self._may_s(one) > now_s or client is None:
                continue
            if one.has_news:
                self._next_s[one.place.account, one.place.chat_id] = now_s + one.every_s
            one.task = asyncio.create_task(self._bring(one, Outbox(client, one.place)), name="progress of a turn")

    def _may_s(self, one: Showing) -> float:
        place = one.place
        return max(self._next_s.get((place.account, place.chat_id), 0.0), self._floods_s.get(place.account, 0.0))

    async def _bring(self, one: Showing, outbox: Outbox) -> None:
        try:
            await one.show(outbox, self._database)
        except FloodError as error:
            self._floods_s[one.place.account] = time.monotonic() + getattr(error, "seconds", SILENT_S)
            log.info("progress.held_back", account=one.place.account, error=name_of(error))
        except RPCError as error:
            one.muted = True
            log.info("progress.refused", chat=one.chat, error=name_of(error))
        except Away:
            pass  # it is shown when the connection is back
        except Exception as error:
            if isinstance(error, OSError) or db.will_pass(error):
                log.warning("progress.not_shown", chat=one.chat, error=db.describe(error))
            else:
                one.muted = True
                log.exception("progress.broke", chat=one.chat)
