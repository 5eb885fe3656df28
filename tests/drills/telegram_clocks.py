"""How long things take by Telegram: when something was said, committed, told, and when a request was at Telegram.

All on the machine's one clock. When a transaction commits, its deferred triggers have the last word: they write the time down.
"""

import asyncio
import json
import time
from typing import Any, Self
from uuid import uuid4

from telethon.tl.functions.messages import EditMessageRequest, SendMessageRequest

from jobs_core import Connection, execute, fetch
from tests.support.telegram import Telegram
from tests.support.telegram.people import Person

_TRIGGERS = """
CREATE TABLE drill_commits (what text, id bigint, at double precision);
CREATE FUNCTION drill_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO drill_commits VALUES (TG_TABLE_NAME, NEW.id, extract(epoch FROM clock_timestamp()));
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER drill_said AFTER INSERT ON jobs.chat_message_history DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.type = 'human') EXECUTE FUNCTION drill_commit();
CREATE CONSTRAINT TRIGGER drill_owed AFTER INSERT ON jobs.deliveries DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.kind = 'answer') EXECUTE FUNCTION drill_commit();
"""
_SAID = """
SELECT substring(h.content FROM '#([0-9]+)')::int AS number, c.at FROM drill_commits AS c
JOIN jobs.chat_message_history AS h ON c.what = 'chat_message_history' AND h.id = c.id
"""
_OWED = "SELECT d.random_id, c.at FROM drill_commits AS c JOIN jobs.deliveries AS d ON c.what = 'deliveries' AND d.id = c.id"
_LIVE = """
INSERT INTO jobs.live_events (topic, token, seq, turn_id, events)
VALUES (%(topic)s, %(token)s, %(seq)s, %(turn_id)s, %(events)s)
"""
_PIECES, _EACH_S = 60, 0.2


class Clocks:
    """What the drill saw, and when."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._said: dict[int, float] = {}
        self._arrived: dict[int, float] = {}

    @classmethod
    async def install(cls, conn: Connection, telegram: Telegram) -> Self:
        """Write down from now on when what is committed, and when a message arrives at Telegram."""
        await execute(conn, _TRIGGERS)
        clocks, answer = cls(conn), telegram.server.answer

        def timed(connection: Any, request: Any) -> Any:
            if isinstance(request, SendMessageRequest):
                clocks._arrived.setdefault(request.random_id, time.time())
            return answer(connection, request)

        telegram.server.answer = timed  # type: ignore[method-assign]  # the server has no other ear
        return clocks

    def said(self, number: int) -> None:
        """A message was told to who holds the account."""
        self._said[number] = time.time()

    def arrived_s(self, random_id: int) -> float:
        """When Telegram had a message."""
        return self._arrived[random_id]

    def reset(self) -> None:
        """Forget what was said before."""
        self._said.clear()

    async def committed_s(self) -> list[float]:
        """For each message: from the update to its commit."""
        rows = await fetch(self._conn, _SAID)
        return [row["at"] - self._said[row["number"]] for row in rows if row["number"] in self._said]

    async def sent_s(self) -> list[float]:
        """For each answer since `reset`: from the commit that settled its turn to the request at Telegram."""
        since, rows = min(self._said.values()), await fetch(self._conn, _OWED)
        return [self._arrived[row["random_id"]] - row["at"] for row in rows if row["at"] > since]

    async def last_commit_s(self) -> float:
        """When the last message was committed."""
        return max(float(row["at"]) for row in await fetch(self._conn, _SAID))


async def stream_lag_s(conn: Connection, telegram: Telegram, person: Person) -> list[float]:
    """A turn says a piece of text each 0.2 s, for 12 s; seconds until the person's phone shows each."""
    told, turn_id, seen = list[float](), uuid4(), list[tuple[float, str]]()
    answer = telegram.server.answer

    def timed(connection: Any, request: Any) -> Any:
        if isinstance(request, SendMessageRequest | EditMessageRequest):
            seen.append((time.time(), request.message))
        return answer(connection, request)

    telegram.server.answer = timed  # type: ignore[method-assign]  # the server has no other ear
    for n in range(_PIECES):
        events = [("text", {"text": f"piece-{n:02} ", "message": "m", "parent": None})]
        values = {"topic": f"telegram_{person.id}", "token": 2**40, "seq": n + 1, "turn_id": turn_id}
        await execute(conn, _LIVE, {**values, "events": json.dumps(events)})
        told.append(time.time())
        await asyncio.sleep(_EACH_S)
    await telegram.until(lambda: any(f"piece-{_PIECES - 1:02}" in text for _, text in seen))
    first = int(1.0 / _EACH_S) + 1  # nothing is shown of a turn's first second
    return [next(at for at, text in seen if f"piece-{n:02}" in text) - told[n] for n in range(first, _PIECES)]
