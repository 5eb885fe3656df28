"""What the Telegram drill adds to `jobs telegram`, by way of JOBS_HANDLERS: trust in the tests' server, and mutants.

Everything else is as in life. JOBS_DRILL_MUTANT names what is taken out.
"""

import os
from datetime import timedelta
from itertools import chain
from typing import Any
from unittest.mock import patch

from assistant.deliveries import Delivery
from assistant.senders import Answer, NotYet
from gateways.telegram.egress.sender import TelegramSender
from gateways.telegram.ingress import Ingress
from gateways.telegram.line import Line
from gateways.telegram.session import save_states
from jobs_core import HandlerTable, fetch
from tests.support.telegram.numbers import trust_test_key
from tests.support.telegram_cuts import with_fresh_ids

MUTANT = "JOBS_DRILL_MUTANT"


def register(_table: HandlerTable) -> None:
    """Called by the process for the modules in JOBS_HANDLERS."""
    trust_test_key()
    if name := os.environ.get(MUTANT):
        MUTANTS[name]()


def _fresh_ids() -> None:
    """A message's random id is drawn at each try."""
    with_fresh_ids().__enter__()


def _states_first() -> None:
    """How far the account is, is saved before what brought it there is taken in: as Telethon's own sessions do."""
    write = Ingress._write

    async def write_states_first(self: Ingress, messages: Any) -> Any:
        states = self._line.states_with(chain.from_iterable(messages))
        if states is not None:
            async with self._database.transaction() as conn:
                await save_states(conn, self._door.held.name, states)
        return await write(self, messages)

    patch.object(Ingress, "_write", write_states_first).start()


def _by_arrival() -> None:
    """Chats take no turns."""
    patch.object(Line, "_turn_of", lambda *_: 0).start()


def _behind_turns() -> None:
    """What goes out waits until a worker of turns is free, as if it were sent there."""
    send = TelegramSender.send

    async def send_behind_turns(self: TelegramSender, delivery: Delivery) -> Answer:
        async with self._database.connection() as conn:
            if await fetch(conn, "SELECT FROM jobs.jobs WHERE job_type = 'chat_turn' AND state = 'running' LIMIT 1"):
                return NotYet(timedelta(seconds=1), "turns run")
        return await send(self, delivery)

    patch.object(TelegramSender, "send", send_behind_turns).start()


MUTANTS = {
    "fresh_ids": _fresh_ids,
    "states_first": _states_first,
    "by_arrival": _by_arrival,
    "behind_turns": _behind_turns,
}
"""What may be taken out of the process' code, to see the drill break."""
