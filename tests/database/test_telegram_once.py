"""R25: whoever sends is killed between sending and recording; Telegram shows each message once, in the order of its chat."""

import random
import secrets
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from telethon import functions

from assistant.deliveries import list_deliveries
from gateways.telegram.egress import outbox, pieces
from jobs_core import Connection, Database, execute
from jobs_core.leases import retire
from tests.support.receiver import Died
from tests.support.telegram_egress import QUEUE, Office, office
from workers.by_hand import WatchedExecutor, do_upkeep, next_job, register_by_hand

SEND = functions.messages.SendMessageRequest
CHATS = 10
LONG = "word " * 1000
"""In two messages."""


class Cuts:
    """What comes between a request and its recording: death, or a lost answer, before Telegram has it or after."""

    def __init__(self, at: Office, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.happened = 0
        self._choose = random.Random(seed)
        self._faults = at.telegram.faults
        self._ask = outbox.ask
        monkeypatch.setattr(outbox, "ask", self.ask)

    async def ask(self, client: Any, request: Any) -> Any:
        """As `ask`, three in ten times cut off."""
        if self._choose.random() > 0.3:
            return await self._ask(client, request)
        self.happened += 1
        what = self._choose.choice([Died, ConnectionResetError, None])
        if what is None:  # the connection itself: the client comes again, and asks again
            self._faults.cut_before_answer(SEND, carried_out=self._choose.random() < 0.5)
            return await self._ask(client, request)
        if self._choose.random() < 0.5:
            raise what
        await self._ask(client, request)
        raise what


async def send_all_with_deaths(at: Office, sends: int) -> None:
    """Deliver so many to ten chats, each tenth of them in two messages; a run that died is another process' next."""
    for n in range(CHATS):
        await at.chat_with(at.telegram.person(f"P{n}"), str(n))
    for n in range(sends):
        await at.owe(f"{n} {LONG if n % 10 == 7 else ''}", chat=str(n % CHATS), kind="notification")
    while await list_deliveries(at.conn, states=["owed"], limit=1):
        worker_id = await register_by_hand(at.conn, at.jobs, [QUEUE], 3600.0)
        try:
            while job := await next_job(at.jobs, worker_id, [QUEUE]):
                await WatchedExecutor(at.jobs).run_watched(job)
        except Died:
            pass
        await retire(at.conn, worker_id)
        await do_upkeep(at.jobs)
        due = "UPDATE jobs.jobs SET scheduled_for = clock_timestamp() WHERE scheduled_for IS NOT NULL"
        await execute(at.conn, due)


def expected(chat: int, sends: int) -> list[str]:
    """What a chat is to see, in order."""
    seen = list[str]()
    for n in range(chat, sends, CHATS):
        seen += [f"{n}", "word"] if n % 10 == 7 else [f"{n}"]
    return seen


@pytest.mark.timeout(300)
async def test_who_is_killed_between_sending_and_recording_shows_nothing_twice_and_nothing_out_of_order(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sends = 500
    async with office(database, conn) as at:
        cuts = Cuts(at, secrets.randbits(32), monkeypatch)
        await send_all_with_deaths(at, sends)
        assert cuts.happened > sends / 10
        for chat in range(CHATS):
            (person,) = (one for one in at.telegram.server.world.people.values() if one.name == f"P{chat}")
            assert [post.text.split()[0] for post in at.telegram.sent(to=person)] == expected(chat, sends)
        assert {one.state for one in await list_deliveries(conn, limit=sends)} == {"sent"}


async def test_under_a_new_number_for_each_try_messages_are_seen_twice(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the number is drawn at the send."""

    def drawn(_first: int) -> Iterator[int]:
        return (secrets.randbits(63) for _ in count())

    monkeypatch.setattr(pieces, "random_ids_of", drawn)
    async with office(database, conn) as at:
        Cuts(at, 1, monkeypatch)
        await send_all_with_deaths(at, 40)
        texts = [post.text for post in at.telegram.sent() if "word" not in post.text]
        assert len(texts) > len(set(texts))
