"""A change of a message that waits for its file, at the moment in which it is taken in."""

from assistant.chats import CHAT_TURN
from assistant.deliveries import DELIVER
from gateways.telegram.taking_in import put_together, take_in
from gateways.telegram.waiting import waiting
from jobs_core import Connection, Database, HandlerTable, Jobs, fetch
from tests.support.pictures import PNG
from tests.support.telegram import Telegram
from tests.support.telegram_door import door, logged_in, said
from tests.support.worker import until

LOCKED = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_an_edit_that_waits_for_its_message_to_be_taken_in_changes_what_was_taken_in(
    database: Database, conn: Connection, other: Connection
) -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        async with door(database) as opened:
            await opened.holds("bot")
            post = telegram.say(alice, "frist", to=bot, file=telegram.photo(PNG))

            async def waits() -> bool:
                return bool(await fetch(conn, "SELECT FROM jobs.telegram_waiting"))

            await until(waits)

            async def is_held_up() -> bool:
                return bool(await fetch(conn, LOCKED))

            table = HandlerTable()
            table.declare_all([CHAT_TURN, DELIVER])
            async with Jobs(database, table) as jobs, other.transaction():
                message = await put_together(other, await waiting(other, 1), [], {})
                await take_in(other, jobs=jobs, message=message)
                telegram.edit(post, "first")
                await until(is_held_up)

            async def changed() -> bool:
                return list(await said(database)) == ["first"]

            await until(changed)
