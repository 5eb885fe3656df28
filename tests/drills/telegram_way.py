"""A message's whole way by Telegram, cut at each of its points: the process that stands there is killed, and another begins.

    Alice's phone ─▶ `jobs telegram` ─▶ queue ─▶ `jobs worker`, the real CLI ─▶ a tool that waits for approval
          ▲ answer, once                                                                        │
          └──── the tool runs once ◀── button ◀── card on the phone ◀── `jobs telegram` ◀───────┘

All of it is real but Telegram (stock Telethon talks to tests/support/telegram) and the model.
"""

import asyncio
import itertools
import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import simulator
from assistant import agents
from jobs_core import Connection, Database, execute, fetch
from simulator.client import SimulatorControl
from simulator.errors import ControlError
from tests.drills import telegram_points
from tests.drills.telegram_points import POINTS, Point
from tests.drills.telegram_process import MUTANT
from tests.drills.waiting import WITHIN_S, until
from tests.support.sessions import KEY
from tests.support.telegram import Telegram
from tests.support.telegram.posts import Post
from tests.support.telegram_door import logged_in
from tests.support.up import Home

SETTINGS = {"LEASE_S": "2", "RENEW_S": "0.4", "UPKEEP_S": "0.3", "POLL_S": "0.5", "DRAIN_S": "5"}
_SCRIPT = '[[tool Bash {{"command": "echo run >> {runs}"}}]] [[then]] [[text {answer}]]'
_ITS_LEASE_IS_OVER = "UPDATE jobs.telegram_accounts SET lease_until = clock_timestamp()"
_SAID = """
SELECT h.content, h.turn_id, (SELECT count(*) FROM jobs.chat_message_history AS of_turn WHERE of_turn.type = 'human'
    AND of_turn.turn_id = h.turn_id) AS together
FROM jobs.chat_message_history AS h WHERE h.type = 'human' ORDER BY h.id
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """times: how often each of `points` is struck alone; then all of them are once more, in one message.

    mutant: a name of telegram_process'. within_s: how long a step may take.
    """

    times: int
    seed: int = 0
    points: tuple[str, ...] = tuple(point.name for point in POINTS)
    mutant: str = ""
    within_s: float = WITHIN_S


@dataclass(slots=True)
class Report:
    """ways: messages that went all the way. struck: how often, by point. broken: what did not hold, and at which points."""

    ways: int = 0
    struck: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Asked:
    """A message of Alice's: the script of a turn, what it is to answer, and where its tool leaves a line each time it runs."""

    text: str
    answer: str
    runs: Path


async def run(dsn: str, plan: Plan, folder: Path) -> Report:
    """Carry out the plan on a fresh migrated database; the processes' log is `log` in the empty folder."""
    points = [point for point in POINTS if point.name in plan.points]
    each = [[point] for point in points] * plan.times
    random.Random(plan.seed).shuffle(each)
    with simulator.running(api_key=KEY) as sim:
        async with (
            Telegram() as telegram,
            Database(dsn, name="drill") as database,
            await database.connect("locks") as own,
        ):
            site = Site(own, telegram, sim, Home(folder, database_url=dsn), plan)
            await site.prepare(database)
            with site:
                for struck in [*each, points]:
                    if not await site.way(struck):
                        break
            site.report.broken += await site.at_the_end()
    return site.report


class Site:
    """Alice's phone, the processes, and what they were asked."""

    def __init__(self, conn: Connection, telegram: Telegram, sim: SimulatorControl, home: Home, plan: Plan) -> None:
        self.report = Report()
        self._conn = conn
        self._telegram = telegram
        self._sim = sim
        self._bot = telegram.bot()
        self._alice = telegram.person("Alice")
        self._home = home
        self._plan = plan
        self._asked: list[Asked] = []
        self._numbers = itertools.count(1)
        self._stacks = {"telegram": ExitStack(), "worker": ExitStack()}

    async def prepare(self, database: Database) -> None:
        """Points to stop at, an agent with a tool that waits for approval, and an account that is logged in."""
        await telegram_points.prepare(self._conn)
        async with database.transaction() as conn:
            await agents.edit(conn, agents.DEFAULT_AGENT, {"tools": ["Bash"]})
        await logged_in(database, self._telegram, self._bot)
        self._telegram.faults.burn_keys_in_two_places = True

    def __enter__(self) -> None:
        self._start("telegram")
        self._start("worker")

    def __exit__(self, *_: object) -> None:
        for stack in self._stacks.values():
            stack.close()

    async def way(self, points: Sequence[Point]) -> bool:
        """One message all the way to its answer, struck at these points; False where it hangs."""
        names = "+".join(point.name for point in points)
        number = next(self._numbers)
        runs, answer = self._home.folder / f"runs-{number}", f"Answer-{number}."
        asked = Asked(_SCRIPT.format(runs=runs, answer=answer), answer, runs)
        self._asked.append(asked)
        try:
            for point in points:
                await telegram_points.close(self._conn, point)
            await self._way(asked, points)
            await until(self._idle, "nothing is left to do")
        except (AssertionError, TimeoutError, ControlError) as error:
            self.report.broken.append(f"{names}: {error}")
            await execute(self._conn, "SELECT pg_advisory_unlock_all()")
            return False
        self.report.broken += [f"{names}: {what}" for what in await self._spoiled(asked)]
        self.report.ways += 1
        await self._sim.reset()
        return True

    async def at_the_end(self) -> list[str]:
        """What is wrong with all that was said and shown: order, and that nothing is there twice."""
        rows = await fetch(self._conn, _SAID)
        found = (
            []
            if [row["content"] for row in rows] == [one.text for one in self._asked]
            else ["messages: others, or in another order"]
        )
        found += [f"{row['content']}: its turn has {row['together']} messages" for row in rows if row["together"] != 1]
        shown = [post.text for post in self._posts() if post.text in {one.answer for one in self._asked}]
        if shown != [one.answer for one in self._asked]:
            found.append(f"answers on the phone: {shown}")
        return found

    async def _way(self, asked: Asked, points: Sequence[Point]) -> None:
        self._telegram.say(self._alice, asked.text, to=self._bot)
        await self._strike(points, "said")
        await self._strike(points, "card")
        card = await self._card(asked)
        press = self._telegram.press(card, "Approve", by=self._alice)
        if await self._strike(points, "pressed"):
            press = self._telegram.press(card, "Approve", by=self._alice)  # the button still turns: she presses again
        async with asyncio.timeout(self._plan.within_s):
            await press.answer
        await self._strike(points, "answer")
        await self._telegram.until(lambda: bool(self._answers(asked)))

    async def _card(self, asked: Asked) -> Post:
        """The card of its call, when it has come."""

        async def there() -> list[Post]:
            return self._cards(asked)

        await until(there, "the card is on the phone", self._plan.within_s)
        return self._cards(asked)[0]

    async def _strike(self, points: Sequence[Point], when: str) -> bool:
        """Kill what stands at the points of that moment, one after another; whether there was one."""
        now = [point for point in points if point.when == when]
        for point in now:
            await telegram_points.reached(self._conn, point)
            struck = ["telegram", *(["worker"] if point.also_worker else [])]
            for name in struck:
                self._stacks[name].close()
            await telegram_points.leave(self._conn, point)
            await execute(self._conn, _ITS_LEASE_IS_OVER)  # six seconds are passed over
            for name in struck:
                self._start(name)
            self.report.struck[point.name] = self.report.struck.get(point.name, 0) + 1
        if now:
            await until(self._connected, "the account is held and connected again")
        return bool(now)

    def _start(self, name: str) -> None:
        """Start `jobs telegram` or `jobs worker`; closing its stack kills it, and all below it."""
        environment = {f"JOBS_{key}": value for key, value in SETTINGS.items()}
        if name == "telegram":
            environment |= {
                "JOBS_HANDLERS": "tests.drills.telegram_process",
                "JOBS_OWNER_TG_USER_ID": str(self._alice.id),
                MUTANT: self._plan.mutant,
            }
            command = ["telegram"]
        else:
            environment |= {"ANTHROPIC_BASE_URL": self._sim.url, "ANTHROPIC_API_KEY": KEY}
            command = ["worker", "--processes", "1", "--queue", "chat"]
        self._stacks[name].enter_context(self._home.start(*command, **environment))

    async def _connected(self) -> bool:
        return bool(self._telegram.server.connections(self._bot))

    async def _idle(self) -> bool:
        return not await fetch(self._conn, "SELECT FROM jobs.jobs LIMIT 1")

    async def _spoiled(self, asked: Asked) -> list[str]:
        """What is wrong with one message's way, at its end."""
        found = [
            f"its {what}: {len(posts)}, not one"
            for what, posts in (("cards", self._cards(asked)), ("answers", self._answers(asked)))
            if len(posts) != 1
        ]
        ran = asked.runs.read_text() if asked.runs.exists() else ""
        if ran != "run\n":
            found.append(f"its tool ran {ran.count('run')} times")
        if (requests := len(await self._sim.requests())) != 2:
            found.append(f"requests to the model: {requests}, not 2")
        states = await fetch(self._conn, "SELECT state FROM jobs.pending_actions ORDER BY id DESC LIMIT 1")
        if [row["state"] for row in states] != ["executed"]:
            found.append(f"its action: {states}")
        owed = await fetch(self._conn, "SELECT id, state, said FROM jobs.deliveries WHERE state <> 'sent'")
        return found + [f"a delivery: {row}" for row in owed]

    def _posts(self) -> list[Post]:
        return [post for post in self._telegram.sent(to=self._alice) if not post.is_deleted]

    def _cards(self, asked: Asked) -> list[Post]:
        return [
            post for post in self._posts() if "waits for approval" in post.texts[0] and str(asked.runs) in post.texts[0]
        ]

    def _answers(self, asked: Asked) -> list[Post]:
        return [post for post in self._posts() if post.text == asked.answer]
