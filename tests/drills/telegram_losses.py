"""R26: updates dropped, doubled, reordered and cut off, and the process that takes them in killed: each message is one turn's.

    50 people ─ say ─▶ Telegram ─ shaken, cut ─▶ `jobs telegram`, killed now and then ─▶ queue ─▶ scripted agents
        ▲                                                  │ sends the answers, too                   │
        └──── each message answered once, in order ◀───────┘◀──────────────────────────────────────────┘

Agents answer with the numbers of what they were asked, so that what a person sees tells which messages were in a turn.
"""

import asyncio
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telethon.tl.functions.messages import SendMessageRequest

from jobs_core import Connection, Database, fetch, fetch_one
from tests.drills.scripted import Scripted, fleet
from tests.drills.telegram_holder import Holder
from tests.drills.waiting import until
from tests.support.telegram import Telegram
from tests.support.telegram.people import Account, Person
from tests.support.telegram_door import logged_in
from tests.support.up import Home

WITHIN_S = 90.0
"""Between two looks that find something done: a killed one's lease runs on, and what was not told is looked for each minute."""
_MOST_BEHIND = 400
"""People wait for us now and then, or all is said before the first is taken in."""
_BROKEN_SHOWN = 5
_SAID = "SELECT session_id, content, turn_id FROM jobs.chat_message_history WHERE type = 'human' ORDER BY id"
_TAKEN_IN = "SELECT count(*) AS n FROM jobs.chat_message_history WHERE type = 'human'"
_LEFT = """
SELECT (SELECT count(*) FROM jobs.jobs) + (SELECT count(*) FROM jobs.deliveries WHERE state = 'owed') AS n
"""
_MANY_ANSWERS = """
SELECT turn_id, count(*) AS n FROM jobs.chat_message_history WHERE type = 'ai' GROUP BY 1 HAVING count(*) > 1
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """kills: of the process that holds the account, each with a message sent and not recorded.

    share: of updates that are dropped, doubled, reordered. mutant: a name of telegram_process. within_s: how long nothing may
    happen.
    """

    messages: int
    seed: int
    chats: int = 50
    disconnects: int = 50
    kills: int = 10
    share: float = 0.05
    mutant: str = ""
    within_s: float = WITHIN_S


@dataclass(slots=True)
class Report:
    """turns: that messages were bound to; answers: that were seen."""

    turns: int = 0
    answers: int = 0
    kills: int = 0
    disconnects: int = 0
    took_s: float = 0.0
    broken: list[str] = field(default_factory=list)


async def run(dsn: str, plan: Plan, folder: Path) -> Report:
    """Carry out the plan on a fresh migrated database; the log is `log` in the empty folder."""
    report = Report()
    async with Telegram() as telegram, Database(dsn, name="drill") as database, database.connection() as conn:
        bot = telegram.bot()
        await logged_in(database, telegram, bot)
        people = [telegram.person(f"P{n}") for n in range(plan.chats)]
        began_s = asyncio.get_running_loop().time()
        async with fleet(dsn, Scripted(_answer), workers=2, slots=20):
            with Holder(Home(folder, database_url=dsn), plan.mutant) as holder:
                crowd = Crowd(telegram, bot, people, conn, plan)
                try:
                    await crowd.speak(holder, report)
                    await crowd.heard_and_answered()
                except TimeoutError as error:
                    report.broken.append(str(error))
        report.took_s = round(asyncio.get_running_loop().time() - began_s, 1)
        report.broken += await crowd.spoiled(report)
    return report


async def _answer(*, prompt: Any, **_: Any) -> str:
    """Say the numbers of what one was asked."""
    return "Answer " + " ".join(re.findall(r"#(\d+)", str(prompt)))


class Crowd:
    """People who speak to a bot, and what has become of it."""

    def __init__(self, telegram: Telegram, bot: Account, people: list[Person], conn: Connection, plan: Plan) -> None:
        self._telegram = telegram
        self._bot = bot
        self._people = people
        self._conn = conn
        self._plan = plan
        self._chance = random.Random(plan.seed)
        self._said: dict[Person, list[int]] = {person: [] for person in people}

    async def speak(self, holder: Holder, report: Report) -> None:
        """Say all, amid faults at moments of chance."""
        plan, moments = self._plan, range(1, self._plan.messages)
        kills = set(self._chance.sample(moments, plan.kills))
        cuts = set(self._chance.sample(moments, plan.disconnects))
        with self._shaken():
            for n in range(plan.messages):
                if n % 20 == 0:
                    await self._taken_in(n - _MOST_BEHIND)
                who = self._chance.choice(self._people)
                self._said[who].append(n)
                self._telegram.say(who, f"#{n}", to=self._bot)
                if n in cuts:
                    self._telegram.disconnect(self._bot)
                    report.disconnects += 1
                if n in kills:
                    await self._sent_unheard()
                    await asyncio.to_thread(holder.kill)
                    report.kills += 1
                await asyncio.sleep(0)

    async def heard_and_answered(self) -> None:
        """Wait until all is taken in and nothing is left to do. Raises TimeoutError where nothing more happens."""
        self._telegram.disconnect(self._bot)  # whoever comes back asks for what was dropped at the end
        await self._taken_in(self._plan.messages)
        left = await self._number(_LEFT)
        while left:
            before = left

            async def fewer(before: int = before) -> bool:
                return await self._number(_LEFT) < before

            await until(fewer, f"the last {before} jobs and deliveries are done", self._plan.within_s)
            left = await self._number(_LEFT)

    async def spoiled(self, report: Report) -> list[str]:
        """What is wrong with what people said, and with what they see."""
        rows, found = await fetch(self._conn, _SAID), list[str]()
        report.turns = len({row["turn_id"] for row in rows} - {None})
        unbound = sum(row["turn_id"] is None for row in rows)
        found += [f"{unbound} messages are bound to no turn"] if unbound else []
        found += [f"turn {row['turn_id']} has {row['n']} answers" for row in await fetch(self._conn, _MANY_ANSWERS)]
        for person, said in self._said.items():
            theirs = [int(row["content"][1:]) for row in rows if row["session_id"] == f"telegram_{person.id}"]
            if theirs != said:
                found.append(
                    f"{person.name} said {len(said)} messages, {len(theirs)} were taken in, or in another order"
                )
            answers = [post.texts[0] for post in self._telegram.sent(to=person) if not post.is_deleted]
            report.answers += len(answers)
            if [int(number) for text in answers for number in text.split()[1:]] != said:
                found.append(f"{person.name} said {said}, and sees {answers}"[:300])
        more = [f"and {len(found) - _BROKEN_SHOWN} more"] if len(found) > _BROKEN_SHOWN else []
        return found[:_BROKEN_SHOWN] + more

    async def _sent_unheard(self) -> None:
        """Wait until Telegram has a message of ours whose sender does not hear so."""
        before = len(self._telegram.sent())
        self._telegram.faults.never_answer(SendMessageRequest, carried_out=True)

        async def sent() -> bool:
            return len(self._telegram.sent()) > before

        await until(sent, "an answer goes out", self._plan.within_s)

    @contextmanager
    def _shaken(self) -> Iterator[None]:
        share = self._plan.share
        self._telegram.faults.shake(self._bot, self._plan.seed, drop=share, double=share, reverse=share)
        yield
        self._telegram.faults.shake(self._bot, self._plan.seed)

    async def _taken_in(self, wanted: int) -> None:
        there = await self._number(_TAKEN_IN)
        while there < wanted:
            before = there

            async def more(before: int = before) -> bool:
                return await self._number(_TAKEN_IN) > before

            await until(more, f"more than {before} of {wanted} messages are taken in", self._plan.within_s)
            there = await self._number(_TAKEN_IN)

    async def _number(self, query: str) -> int:
        row = await fetch_one(self._conn, query)
        assert row is not None
        return int(row["n"])
