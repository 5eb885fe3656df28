"""Updates that come twice, late, in another order or not at all: each message is taken in once, in its chat's order."""

import asyncio
import random
from uuid import uuid4

from assistant import chats
from jobs_core import Connection, Database, fetch, fetch_one
from tests.support.telegram import Telegram
from tests.support.telegram_door import door, logged_in, said_comes

MESSAGES, CHATS, DISCONNECTS = 2_000, 50, 12


async def test_through_losses_doubles_and_cuts_each_message_is_one_in_its_chats_order(
    database: Database, conn: Connection
) -> None:
    """Each is bound to one turn besides, by whichever of the jobs that came with them binds first."""
    chance = random.Random(7)
    async with Telegram() as telegram:
        bot = telegram.bot()
        people = [telegram.person(f"P{n}") for n in range(CHATS)]
        await logged_in(database, telegram, bot)
        telegram.faults.shake(bot, seed=7, drop=0.05, double=0.05, reverse=0.05)
        async with door(database) as opened:
            await opened.holds("bot")
            for n in range(MESSAGES):
                telegram.say(chance.choice(people), str(n), to=bot)
                if n % 10 == 0:
                    await asyncio.sleep(0)
                if n % (MESSAGES // DISCONNECTS) == 100:
                    await said_comes(database, n // 2)
                    telegram.disconnect(bot)
            telegram.faults.shake(bot, seed=7)
            opened.look_for_missed("bot")
            await said_comes(database, MESSAGES)
    rows = await fetch(
        conn, "SELECT session_id, content FROM jobs.chat_message_history WHERE type = 'human' ORDER BY id"
    )
    assert sorted(int(row["content"]) for row in rows) == list(range(MESSAGES))
    for person in people:
        theirs = [int(row["content"]) for row in rows if row["session_id"] == f"telegram_{person.id}"]
        assert theirs == sorted(theirs)
    await bind_all(conn)
    (unbound,) = await fetch(conn, "SELECT count(*) AS n FROM jobs.chat_message_history WHERE turn_id IS NULL")
    jobs_made = await fetch_one(conn, "SELECT count(*) AS n FROM jobs.jobs WHERE job_type = 'chat_turn'")
    assert (unbound["n"], jobs_made) == (0, {"n": MESSAGES})


async def bind_all(conn: Connection) -> None:
    """Bind as the jobs' runs do: each chat's first one takes all."""
    rows = await fetch(conn, "SELECT session_id FROM jobs.chat_sessions")
    for row in rows:
        while await chats.bind(conn, row["session_id"], uuid4()):
            pass
