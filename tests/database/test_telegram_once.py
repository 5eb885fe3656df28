"""R25: whoever sends is killed between sending and recording; Telegram shows each message once, in the order of its chat."""

import secrets

import pytest

from assistant.deliveries import list_deliveries
from jobs_core import Connection, Database
from tests.support.telegram_cuts import CHATS, cut_off, expected, seen, send_all_with_deaths, with_fresh_ids
from tests.support.telegram_egress import office


@pytest.mark.timeout(300)
async def test_who_is_killed_between_sending_and_recording_shows_nothing_twice_and_nothing_out_of_order(
    database: Database, conn: Connection
) -> None:
    sends = 500
    async with office(database, conn) as at:
        with cut_off(at, secrets.randbits(32)) as cuts:
            await send_all_with_deaths(at, sends)
        assert cuts.happened > sends / 10
        for chat in range(CHATS):
            assert seen(at, chat) == expected(chat, sends)
        assert {one.state for one in await list_deliveries(conn, limit=sends)} == {"sent"}


async def test_under_a_new_number_for_each_try_messages_are_seen_twice(database: Database, conn: Connection) -> None:
    """The mutant: the number is drawn at the send."""
    sends = 40
    async with office(database, conn) as at:
        with with_fresh_ids(), cut_off(at, 1):
            await send_all_with_deaths(at, sends)
        assert any(len(seen(at, chat)) > len(expected(chat, sends)) for chat in range(CHATS))
