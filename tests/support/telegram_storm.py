"""Messages from many chats, while updates are dropped, doubled and reordered, connections cut, and the door is opened anew."""

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID, uuid4

from assistant import chats
from jobs_core import Connection, Database, fetch
from jobs_core.tasks import end_task
from tests.support.telegram import Telegram
from tests.support.telegram.people import Account, Person
from tests.support.telegram_door import door, logged_in, said_comes

SHARE = 0.05
"""Of the updates: so many are dropped, as many doubled, as many held back behind others."""
_OPEN = """
SELECT DISTINCT session_id FROM jobs.chat_message_history WHERE type = 'human' AND ended_at IS NULL ORDER BY session_id
"""
_LINES = "SELECT session_id, type, content, turn_id FROM jobs.chat_message_history ORDER BY id"
_OWED = "SELECT turn_id, count(*) AS n FROM jobs.deliveries WHERE kind = 'answer' GROUP BY turn_id"


@dataclass(frozen=True)
class Storm:
    """How much of it. restarts: how often the door is closed in the middle, and opened anew."""

    messages: int
    chats: int
    disconnects: int
    restarts: int
    seed: int


async def blow(database: Database, storm: Storm) -> list[str]:
    """Say it all, answer it as turns do, and give what did not hold."""
    async with Telegram() as telegram, database.connection() as conn:
        bot = telegram.bot()
        people = [telegram.person(f"P{n}") for n in range(storm.chats)]
        await logged_in(database, telegram, bot)
        telegram.faults.shake(bot, seed=storm.seed, drop=SHARE, double=SHARE, reverse=SHARE)
        answering = asyncio.create_task(_answer(conn))
        try:
            await _say_all(database, storm, telegram, bot, people)
        finally:
            await end_task(answering)
        await _answer_open(conn)
        return await _faults(conn, storm, people)


async def _say_all(database: Database, storm: Storm, telegram: Telegram, bot: Account, people: list[Person]) -> None:
    chance, said = random.Random(storm.seed), 0
    between = storm.messages // (storm.disconnects + 1)
    for part in range(storm.restarts + 1):
        until = storm.messages * (part + 1) // (storm.restarts + 1)
        async with door(database) as opened:
            await opened.holds("bot")
            while said < until:
                telegram.say(chance.choice(people), str(said), to=bot)
                said += 1
                if said % between == 0:
                    await said_comes(database, said // 2)
                    telegram.disconnect(bot)
                await asyncio.sleep(0)
            if said == storm.messages:
                telegram.faults.shake(bot, seed=storm.seed)
                opened.look_for_missed("bot")
                await said_comes(database, said)


async def _answer(conn: Connection) -> None:
    """Bind and answer what is open, again and again, beside those who say more."""
    while True:
        await _answer_open(conn)
        await asyncio.sleep(1.0)


async def _answer_open(conn: Connection) -> None:
    for row in await fetch(conn, _OPEN):
        async with conn.transaction():
            if await chats.bind(conn, row["session_id"], turn := uuid4()):
                await chats.answer(conn, row["session_id"], turn, "Yes.")


async def _faults(conn: Connection, storm: Storm, people: list[Person]) -> list[str]:
    lines = await fetch(conn, _LINES)
    said = [line for line in lines if line["type"] == "human"]
    ends = [line["turn_id"] for line in lines if line["type"] == "ai"]
    turns = {line["turn_id"] for line in said}
    owed: dict[UUID, int] = {row["turn_id"]: row["n"] for row in await fetch(conn, _OWED)}
    by_chat = defaultdict[str, list[int]](list)
    for line in said:
        by_chat[line["session_id"]].append(int(line["content"]))
    numbers = sorted(int(line["content"]) for line in said)
    checks = {
        "each message is one": numbers == list(range(storm.messages)),
        "each chat is a person's": set(by_chat) <= {f"telegram_{person.id}" for person in people},
        "each chat is in order": all(numbers == sorted(numbers) for numbers in by_chat.values()),
        "each message is bound": None not in turns,
        "each turn is answered once": sorted(map(str, ends)) == sorted(map(str, turns)),
        "each answer is owed once": owed == dict.fromkeys(turns, 1),
    }
    return [f"not so: {promise}" for promise, holds in checks.items() if not holds]
