"""Sends by Telegram that are cut off: by death between a request and its recording, by lost answers, by connections."""

import random
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any
from unittest.mock import patch

from telethon.tl.functions.messages import SendMessageRequest

from assistant.deliveries import list_deliveries
from gateways.telegram.egress import outbox, pieces
from gateways.telegram.egress.ask import ask
from jobs_core import execute
from jobs_core.leases import retire
from tests.support.receiver import Died
from tests.support.telegram_egress import QUEUE, Office
from workers.by_hand import WatchedExecutor, do_upkeep, next_job, register_by_hand

CHATS = 10
LONG = "word " * 1000
"""In two messages."""
_DUE = "UPDATE jobs.jobs SET scheduled_for = clock_timestamp() WHERE scheduled_for IS NOT NULL"


class Cuts:
    """What comes between a request and its recording: death, or a lost answer, before Telegram has it or after."""

    def __init__(self, at: Office, seed: int) -> None:
        self.happened = 0
        self._choose = random.Random(seed)
        self._faults = at.telegram.faults

    async def ask(self, client: Any, request: Any) -> Any:
        """As `ask`, three in ten times cut off."""
        if self._choose.random() > 0.3:
            return await ask(client, request)
        self.happened += 1
        what = self._choose.choice([Died, ConnectionResetError, None])
        if what is None:  # the connection itself: the client comes again, and asks again
            self._faults.cut_before_answer(SendMessageRequest, carried_out=self._choose.random() < 0.5)
            return await ask(client, request)
        if self._choose.random() < 0.5:
            raise what
        await ask(client, request)
        raise what


@contextmanager
def cut_off(at: Office, seed: int) -> Iterator[Cuts]:
    """Meanwhile three in ten requests of what goes out are cut off."""
    cuts = Cuts(at, seed)
    with patch.object(outbox, "ask", cuts.ask):
        yield cuts


def with_fresh_ids() -> AbstractContextManager[Any]:
    """The mutant: a message's random id is drawn at each try."""

    def drawn(_first: int) -> Iterator[int]:
        return (secrets.randbits(63) for _ in count())

    return patch.object(pieces, "random_ids_of", drawn)


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
        await execute(at.conn, _DUE)


def seen(at: Office, chat: int) -> list[str]:
    """What a chat shows, the first word of each message, in order."""
    (person,) = (one for one in at.telegram.server.world.people.values() if one.name == f"P{chat}")
    return [post.text.split()[0] for post in at.telegram.sent(to=person)]


def expected(chat: int, sends: int) -> list[str]:
    """What a chat is to show of so many sends."""
    words = list[str]()
    for n in range(chat, sends, CHATS):
        words += [f"{n}", "word"] if n % 10 == 7 else [f"{n}"]
    return words
