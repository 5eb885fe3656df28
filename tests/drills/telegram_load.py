"""A sender with 10,000 messages a minute costs others little, a card goes out whatever else there is; and how fast the door is.

    idle      Bob asks, and once more …           ─▶ pickups; how long updates take to be committed, and answers to go out
    loaded    Mallory floods; Bob asks as before  ─▶ pickups beside that
    beside    other processes spend as much of the processor; Bob asks as before ─▶ what that alone costs him
    card      every slot of every worker is taken, and Alice's turn waits for her ─▶ her card is on her phone
    many      50 people, 200 messages a second    ─▶ taken in a second, where agents think for a second, or not at all
    stream    a turn says something new each 0.2 s ─▶ how late her phone shows it

Idle and loaded take turns. Agents are scripted; `jobs telegram` is a process, Telegram lives in the drill's.
"""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant import agents as agents_of
from jobs_core import Connection, Database, fetch
from tests.drills.beside import burning, spent_s
from tests.drills.report import quantile
from tests.drills.scripted import fleet
from tests.drills.telegram_agents import Agents
from tests.drills.telegram_clocks import Clocks, stream_lag_s
from tests.drills.telegram_holder import Holder
from tests.drills.waiting import until
from tests.support.telegram import Telegram
from tests.support.telegram.people import Account, Person
from tests.support.telegram_door import logged_in
from tests.support.up import Home

A_MINUTE = 10_000
PEOPLE, A_SECOND = 50, 200
WORKERS, SLOTS = 2, 10
_ENOUGH = 10.0
_TO_SPARE_S = 0.01
"""Of a pickup, for what else the machine does just then."""
THINKS_S = 1.0
"""What an agent takes for an answer where messages are counted, and few take less: else turns are what is counted."""

_QUIET = """
SELECT count(*) AS n FROM jobs.chat_message_history WHERE type = 'human'
AND NOT EXISTS (SELECT FROM jobs.jobs WHERE state <> 'waiting')
"""
_ACTION = """
SELECT extract(epoch FROM a.created_at)::double precision AS s, j.state
FROM jobs.pending_actions AS a JOIN jobs.jobs AS j ON j.id = a.job_id
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """rounds: idle and loaded. asks: of Bob in each. many_s: for how long 50 people speak.

    heap: what Mallory says at once before she goes on: so much that there is a line to stand in, however fast it moves.

    mutant: a name of telegram_process', with which Bob is measured only; without rounds the card is.
    """

    rounds: int
    seed: int = 0
    asks: int = 15
    many_s: float = 5.0
    heap: int = 0
    mutant: str = ""


@dataclass(slots=True)
class Report:
    """Seconds from a message said to its turn's start; from an update to its commit; from a settle to the request at Telegram;
    from an action that waits to its card; from what an agent says to the edit that shows it. taken_in_a_s: messages of many.

    beside_s: as loaded_s, beside other work. flood_cores: what the flood takes. door_cpu_ms: of the process that holds the
    account, for each message of many and what goes out meanwhile. at_once_…: where agents answer at once.
    """

    idle_s: list[float] = field(default_factory=list)
    loaded_s: list[float] = field(default_factory=list)
    beside_s: list[float] = field(default_factory=list)
    flooded: int = 0
    flood_cores: list[float] = field(default_factory=list)
    committed_s: list[float] = field(default_factory=list)
    sent_s: list[float] = field(default_factory=list)
    card_s: float = 0.0
    taken_in_a_s: float = 0.0
    door_cpu_ms: float = 0.0
    at_once_taken_in_a_s: float = 0.0
    stream_s: list[float] = field(default_factory=list)
    p95: dict[str, float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


async def run(dsn: str, plan: Plan, folder: Path) -> Report:
    """Carry out the plan on a fresh migrated database; the log is `log` in the empty folder."""
    report = Report()
    async with Telegram() as telegram, Database(dsn, name="drill") as database, database.connection() as conn:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        async with database.transaction() as own:
            await agents_of.edit(own, agents_of.DEFAULT_AGENT, {"tools": ["Bash"]})
        clocks = await Clocks.install(conn, telegram)
        scripted = Agents()
        async with fleet(dsn, scripted, workers=WORKERS, slots=SLOTS):
            with Holder(Home(folder, database_url=dsn), plan.mutant, JOBS_OWNER_TG_USER_ID=str(alice.id)) as holder:
                load = Load(telegram, bot, conn, scripted, clocks=clocks, holder=holder)
                try:
                    await load.measure(plan, report, alice)
                except (AssertionError, TimeoutError) as error:
                    report.broken.append(str(error))
    for name in ("idle_s", "loaded_s", "beside_s", "committed_s", "sent_s", "stream_s"):
        if seen := getattr(report, name):
            report.p95[f"{name}_p95"] = round(quantile(seen, 0.95), 4)
    return report


class Load:
    """Who speaks, and when."""

    def __init__(
        self, telegram: Telegram, bot: Account, conn: Connection, agents: Agents, *, clocks: Clocks, holder: Holder
    ) -> None:
        self._telegram = telegram
        self._bot = bot
        self._conn = conn
        self._agents = agents
        self._clocks = clocks
        self._holder = holder
        self._numbers = 0

    async def measure(self, plan: Plan, report: Report, alice: Person) -> None:
        """All of it, one after another."""
        bob, mallory = self._telegram.person("Bob"), self._telegram.person("Mallory")
        await self._pickup_s(bob)  # the first one waits for processes to start
        if not plan.mutant or not plan.rounds:
            report.card_s = await self._card_s(alice)
        if not plan.mutant:
            report.at_once_taken_in_a_s = await self._many(plan.many_s)
            self._agents.thinks_s, before_s = THINKS_S, self._holder.cpu_s
            report.taken_in_a_s = await self._many(plan.many_s)
            report.door_cpu_ms = round(1000 * (self._holder.cpu_s - before_s) / (plan.many_s * A_SECOND), 2)
            self._agents.thinks_s = 0.0
            report.stream_s = await stream_lag_s(self._conn, self._telegram, bob)
        for _ in range(plan.rounds):
            await self._round(plan, report, bob, mallory)
        for part in (0.5, 0.95) if plan.rounds else ():
            seen_s = quantile(report.loaded_s, part)
            else_s = max(quantile(one, part) for one in (report.idle_s, report.beside_s) if one)
            if seen_s > 1.5 * else_s + _TO_SPARE_S:
                report.broken.append(
                    f"p{part * 100:.0f} of Bob's pickups beside the flood {seen_s:.3f} s, else {else_s:.3f} s"
                )

    async def _round(self, plan: Plan, report: Report, bob: Person, mallory: Person) -> None:
        """Bob asks alone, beside the flood, and beside as much work of others."""
        self._clocks.reset()
        began = time.monotonic(), spent_s()
        report.idle_s += [await self._pickup_s(bob) for _ in range(plan.asks)]
        idle_cores = (spent_s() - began[1]) / (time.monotonic() - began[0])
        await self._quiet()
        report.committed_s += await self._clocks.committed_s()
        report.sent_s += await self._clocks.sent_s()
        flood = asyncio.create_task(self._flood(mallory, plan.heap))
        try:
            await asyncio.sleep(1.0)
            began = time.monotonic(), spent_s()
            report.loaded_s += await self._pickups_s(bob, plan, _ENOUGH * max(report.idle_s))
        finally:
            flood.cancel()
        cores = (spent_s() - began[1]) / (time.monotonic() - began[0])
        report.flooded += self._flooded
        report.flood_cores.append(cores - idle_cores)
        if not plan.mutant:
            await self._quiet()
            with burning(cores - idle_cores):
                report.beside_s += [await self._pickup_s(bob) for _ in range(plan.asks)]

    def _say(self, who: Person, words: str = "") -> int:
        self._numbers += 1
        self._telegram.say(who, f"#{self._numbers} {words}", to=self._bot)
        self._clocks.said(self._numbers)
        return self._numbers

    async def _pickups_s(self, who: Person, plan: Plan, enough_s: float) -> list[float]:
        """One after another; a mutant has shown what it was to show when one took that long."""
        took_s = list[float]()
        while len(took_s) < plan.asks and not (plan.mutant and max(took_s, default=0.0) > enough_s):
            took_s.append(await self._pickup_s(who))
        return took_s

    async def _pickup_s(self, who: Person) -> float:
        began_s, number = time.time(), self._say(who)

        async def picked() -> bool:
            return number in self._agents.picked_s

        await until(picked, f"message {number} is taken up", every_s=0.01)
        await asyncio.sleep(0.15)  # his answer goes out meanwhile
        return self._agents.picked_s[number] - began_s

    async def _flood(self, who: Person, heap: int) -> None:
        """10,000 messages a minute, until cancelled; before that, so many at once."""
        self._flooded, began_s = 0, time.monotonic()
        while True:
            while self._flooded < heap + (time.monotonic() - began_s) * A_MINUTE / 60:
                self._say(who)
                self._flooded += 1
            await asyncio.sleep(0.005)

    async def _quiet(self) -> None:
        """Wait until all is taken in and done."""

        async def done() -> bool:
            rows = await fetch(self._conn, _QUIET)
            return bool(rows[0]["n"] >= self._numbers)

        await until(done, "all is taken in and answered", 300)

    async def _card_s(self, alice: Person) -> float:
        """Seconds from the action to the card, with no slot free anywhere; then she presses, and her turn ends."""
        self._say(alice, "call")

        async def all_busy() -> bool:
            return self._agents.busy >= WORKERS * SLOTS - 1

        for n in range(WORKERS * SLOTS - 1):
            self._say(self._telegram.person(f"Hanging {n}"), "hang")
        await until(all_busy, "all slots are taken")
        for n in range(5):
            self._say(self._telegram.person(f"Late {n}"), "hang")
        self._agents.ask.set()

        def card() -> Any:
            return next((post for post in self._telegram.sent(to=alice) if post.buttons), None)

        await self._telegram.until(lambda: card() is not None)
        rows = await fetch(self._conn, _ACTION)
        assert [row["state"] for row in rows] == ["waiting"], f"the turn is {rows}"
        took_s = self._clocks.arrived_s(card().random_id) - float(rows[0]["s"])
        press = self._telegram.press(card(), "Approve", by=alice)
        await asyncio.wait_for(press.answer, 30)
        self._agents.go_on.set()
        await self._telegram.until(lambda: any(post.text == "Called." for post in self._telegram.sent(to=alice)))
        await self._quiet()
        return round(took_s, 3)

    async def _many(self, seconds: float) -> float:
        """Messages of 50 people taken in a second, where 200 are said."""
        people = [self._telegram.person(f"M{n}") for n in range(PEOPLE)]
        self._clocks.reset()
        began_s, total = time.time(), int(seconds * A_SECOND)
        for n in range(total):
            while n > (time.time() - began_s) * A_SECOND:
                await asyncio.sleep(0.002)
            self._say(people[n % PEOPLE])
        await self._quiet()
        return round(total / (await self._clocks.last_commit_s() - began_s), 1)
