"""What Telegram says, and what it comes to: a wait of 30 s, a block, a topic that was deleted, a key that was revoked.

    each: three deliveries meet it ─▶ the right state, the owner told once or not at all ─▶ it is mended ─▶ all arrive, in order

The door is the whole one, in the drill's own process. Time is moved in rows. A mutant takes what it says for another thing.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from telethon.tl.functions.messages import SendMessageRequest

from assistant.deliveries import DELIVER, Delivery, find_delivery, owe
from assistant.notifications import list_notifications
from assistant.sending import resend
from gateways.telegram.accounts import CHANNEL
from gateways.telegram.egress import answers
from handlers import deliver
from jobs_core import Connection, Database, HandlerTable, Jobs, Retry, execute, fetch
from tests.drills.report import count
from tests.drills.waiting import until
from tests.support.telegram import Telegram
from tests.support.telegram.chats import Topic
from tests.support.telegram.people import Account, Person
from tests.support.telegram_door import door, logged_in, said_comes
from workers import testing

ACCOUNT = "bot"
EACH = 3
_NEW_KEY = "UPDATE jobs.telegram_accounts SET auth_key = %(key)s, login = login + 1, state = 'active', said = NULL"


@dataclass(frozen=True, slots=True)
class Plan:
    """So often each. only: of FAULTS. mutant: of MUTANTS. within_s: so long a state is waited for."""

    rounds: int
    seed: int = 0
    only: Sequence[str] = ("flood wait", "blocked", "deleted topic", "key revoked")
    mutant: str = ""
    within_s: float = 30.0


@dataclass(slots=True)
class Report:
    """met: faults that were met, by what they are."""

    met: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


async def run(dsn: str, plan: Plan, _folder: Path) -> Report:
    """Carry out the plan on a fresh migrated database."""
    report = Report()
    async with Telegram() as telegram, Database(dsn, name="drill") as database, Jobs(database, HandlerTable()) as jobs:
        bot = telegram.bot()
        await logged_in(database, telegram, bot, ACCOUNT)
        async with door(database, sends=True) as opened, database.connection() as conn:
            await opened.holds(ACCOUNT)
            scene = Scene(telegram, bot, conn, jobs, within_s=plan.within_s)
            for name in [*plan.only] * plan.rounds:
                with MUTANTS[plan.mutant]():
                    try:
                        await FAULTS[name](scene)
                    except (AssertionError, TimeoutError) as error:
                        report.broken.append(f"{name}: {error}")
                    count(report.met, [name])
    return report


class Scene:
    """A bot, its owner's notifications, and somebody new for each fault."""

    def __init__(self, telegram: Telegram, bot: Account, conn: Connection, jobs: Jobs, *, within_s: float) -> None:
        self.telegram = telegram
        self.bot = bot
        self.conn = conn
        self._within_s = within_s
        self._database = jobs.database
        self._jobs = jobs
        self._said = 0

    async def somebody(self) -> Person:
        """A person who has written to the bot."""
        person = self.telegram.person(f"P{self._said}")
        await self._say(person, self.bot)
        return person

    async def _say(self, who: Person, to: Person | Topic) -> None:
        self.telegram.say(who, "@jobsbot hello", to=to)
        self._said += 1
        await said_comes(self._database, self._said)

    async def in_topic(self) -> tuple[Person, Topic, str]:
        """A person who has written to the bot in a topic of a forum, and the chat session of that."""
        person = self.telegram.person(f"P{self._said}")
        group = self.telegram.supergroup("Team", person, self.bot, is_forum=True)
        topic = self.telegram.topic(group, "Plans", by=person)
        await self._say(person, topic)
        rows = await fetch(self.conn, "SELECT session_id FROM jobs.telegram_chats ORDER BY created_at DESC LIMIT 1")
        return person, topic, rows[0]["session_id"]

    async def owe(self, chat: str) -> list[int]:
        """Deliveries to a chat; their ids."""
        ids = list[int]()
        for n in range(EACH):
            async with self._database.transaction() as conn:
                owed = await owe(
                    conn,
                    owed_for=f"drill:{chat}:{self._said}:{n}:{len(ids)}",
                    kind="answer",
                    payload={"text": f"{chat} {n}"},
                    user_id=None,
                    channel=CHANNEL,
                    account=ACCOUNT,
                    chat=chat,
                )
            assert owed is not None
            ids.append(owed.id)
        return ids

    async def found(self, ids: Sequence[int]) -> list[Delivery]:
        """The deliveries as they are now."""
        return [await find_delivery(self.conn, one) for one in ids]

    async def come_to(self, ids: Sequence[int], *states: str) -> None:
        """Wait until the deliveries are in these states, one after another."""

        async def so_far() -> bool:
            return [one.state for one in await self.found(ids)] == list(states)

        try:
            await until(so_far, f"deliveries are {states}", self._within_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}, but {[(one.state, one.said) for one in await self.found(ids)]}") from None

    async def pass_time(self, seconds: float) -> None:
        """Move what waits, and pauses, into the past."""
        await execute(self.conn, "UPDATE jobs.pauses SET until = clock_timestamp() WHERE until IS NOT NULL")
        await testing.pass_time(self._jobs, timedelta(seconds=seconds))

    async def resend(self, ids: Sequence[int]) -> None:
        """As an operator does who has mended what was wrong."""
        for one in ids:
            owed = await resend(self.conn, one)
            self._jobs.notifier.wake(owed.ready)

    def seen(self, chat: str) -> list[str]:
        """What arrived of what was owed to the chat, in order."""
        return [post.text for post in self.telegram.sent() if post.text.startswith(f"{chat} ")]

    @asynccontextmanager
    async def told(self, times: int, about: str) -> AsyncIterator[None]:
        """Within the block the owner is told so often."""
        before = len(await list_notifications(self.conn, limit=200))
        yield
        after = len(await list_notifications(self.conn, limit=200))
        assert after - before == times, f"the owner was told {after - before} times of {about}, not {times}"

    def arrived(self, chat: str) -> None:
        """Fail unless all that was owed to the chat arrived once, in order."""
        assert self.seen(chat) == [f"{chat} {n}" for n in range(EACH)], f"arrived: {self.seen(chat)}"


async def _flood_wait(scene: Scene) -> None:
    chat = f"telegram_{(await scene.somebody()).id}"
    async with scene.told(0, "a wait"):
        scene.telegram.faults.flood_wait(SendMessageRequest, 30)
        ids = await scene.owe(chat)

        async def waits() -> bool:
            return (await scene.found(ids))[0].said == "Telegram asks to wait 30 s"

        await until(waits, "the first delivery waits", 30)
        assert scene.seen(chat) == [], "something went out during the wait"
        await scene.pass_time(31)
        await scene.come_to(ids, *["sent"] * EACH)
    job = {"id": (await scene.found(ids))[0].job_id}
    retries = await fetch(scene.conn, "SELECT retry_count FROM jobs.history WHERE id = %(id)s", job)
    assert [row["retry_count"] for row in retries] == [0], f"retries were spent: {retries}"
    scene.arrived(chat)


async def _blocked(scene: Scene) -> None:
    person = await scene.somebody()
    chat = f"telegram_{person.id}"
    async with scene.told(1, "a person who blocked the bot"):
        scene.bot.blocked_by.add(person)
        ids = await scene.owe(chat)
        await scene.come_to(ids, *["blocked"] * EACH)
    scene.bot.blocked_by.discard(person)
    await scene.resend(ids)
    await scene.come_to(ids, *["sent"] * EACH)
    scene.arrived(chat)


async def _deleted_topic(scene: Scene) -> None:
    _, topic, chat = await scene.in_topic()
    async with scene.told(1, "a deleted topic"):
        topic.is_deleted = True
        ids = await scene.owe(chat)
        await scene.come_to(ids, *["failed"] * EACH)
    assert scene.seen(chat) == [], "it went elsewhere"
    topic.is_deleted = False
    await scene.resend(ids)
    await scene.come_to(ids, *["sent"] * EACH)
    scene.arrived(chat)


async def _key_revoked(scene: Scene) -> None:
    chat = f"telegram_{(await scene.somebody()).id}"
    async with scene.told(1, "a revoked key"):
        scene.telegram.revoke(scene.bot)
        ids = await scene.owe(chat)

        async def out_of_use() -> bool:
            rows = await fetch(
                scene.conn, "SELECT FROM jobs.telegram_accounts WHERE state = 'revoked' AND holder IS NULL"
            )
            return bool(rows)

        await until(out_of_use, "the account is out of use, and let go", 30)
        assert {one.state for one in await scene.found(ids)} == {"owed"}
        key = scene.telegram.session(scene.bot).auth_key.key
        await execute(scene.conn, _NEW_KEY, {"key": key})
        await scene.pass_time(120)
        await scene.come_to(ids, *["sent"] * EACH)
    scene.arrived(chat)


FAULTS: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "flood wait": _flood_wait,
    "blocked": _blocked,
    "deleted topic": _deleted_topic,
    "key revoked": _key_revoked,
}


def _as_a_retry(_after: timedelta, *, reason: str, also: Any = None, **_: Any) -> Retry:
    return Retry(reason, policy=DELIVER.retries, also=also)


MUTANTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "": nullcontext,
    "waits_as_retries": lambda: patch.object(deliver, "Snooze", _as_a_retry),
    "blocks_as_refusals": lambda: patch.dict(answers._BLOCKED, clear=True),
}
"""What Telegram asks to wait spends a retry; a person who has blocked the bot is not told from any other refusal."""
