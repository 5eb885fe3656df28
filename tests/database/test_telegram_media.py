"""Messages with files, from the update to the chat: by the door as `./jobs telegram` runs it."""

from jobs_core import Connection, Database, fetch
from tests.support.pictures import PNG
from tests.support.telegram import Telegram
from tests.support.telegram_door import door, logged_in, said_comes
from tests.support.worker import until


async def test_messages_with_files_come_in_their_order_and_as_they_were_changed(
    database: Database, conn: Connection
) -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        photo = telegram.say(alice, "frist", to=bot, file=telegram.photo(PNG))
        for nth in range(2):
            telegram.say(alice, "album" if nth else "", to=bot, file=telegram.photo(PNG), album=5)
        telegram.say(alice, "last", to=bot)
        telegram.edit(photo, "first")
        async with door(database, sends=True):
            assert await said_comes(database, 3) == ["first", "album", "last"]
            telegram.edit(photo, "first of all")
            telegram.say(alice, "at once", to=bot)
            assert await said_comes(database, 4) == ["first of all", "album", "last", "at once"]
    rows = await fetch(conn, "SELECT file_bytes FROM jobs.chat_message_history ORDER BY id")
    assert [row["file_bytes"] // len(PNG) for row in rows] == [1, 2, 0, 0]
    notes = await fetch(conn, "SELECT DISTINCT history_id FROM jobs.telegram_messages ORDER BY history_id")
    assert [row["history_id"] for row in notes] == [1, 2, 3, 4]


async def test_what_is_sent_after_a_stop_does_not_wait_for_what_was_stopped(
    database: Database, conn: Connection
) -> None:
    """Its voice message would for minutes: nobody here hears it."""
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        async with door(database, sends=True):
            telegram.say(alice, "", to=bot, file=telegram.voice(b"OggS" + bytes(9), 600))

            async def waits() -> bool:
                return bool(await fetch(conn, "SELECT FROM jobs.jobs WHERE job_type = 'transcribe'"))

            await until(waits)
            telegram.say(alice, "/stop", to=bot)
            telegram.say(alice, "look", to=bot, file=telegram.photo(PNG))
            assert await said_comes(database, 1) == ["look"]
