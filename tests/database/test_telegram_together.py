"""What lies in an account's line is taken in together, each chat in its order; what needs more than that, by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from unittest.mock import AsyncMock

import pytest
from telethon import types

from assistant.chats import CHAT_TURN
from assistant.settings import AssistantSettings, MediaSettings
from assistant.together import MOST_BYTES_A_JOB
from gateways.telegram import ingress
from gateways.telegram.door import Door
from gateways.telegram.incoming import ELSEWHERE, Incoming
from gateways.telegram.ingress import Ingress
from gateways.telegram.lease import acquire
from gateways.telegram.plain import is_plain, take_plain
from gateways.telegram.session import OWN, AccountSession, Progress, load_session
from gateways.telegram.settings import TelegramSettings
from jobs_core import Connection, Database, HandlerTable, Jobs, execute, fetch
from jobs_core.tasks import end_task
from tests.support.telegram import Telegram
from tests.support.telegram.posts import now
from tests.support.telegram_door import logged_in
from tests.support.worker import until

SAID = "SELECT session_id, content FROM jobs.chat_message_history WHERE type = 'human' ORDER BY id"
A, B, C = 11, 12, 13
"""Numbers of people at Telegram, and of their chats."""


class Bench:
    """An account that is held, and what takes in for it. Nothing is connected: what came is put into the line."""

    def __init__(self, database: Database, door: Door, session: AccountSession) -> None:
        self.door = door
        self._ingress = Ingress(database, door, session)
        self._numbers = count(1)

    def words(self, chat: int, text: str = "hello", **how: Any) -> Incoming:
        """The next message, of whom the chat is with."""
        number = how.pop("number", None) or next(self._numbers)
        message = types.Message(number, types.PeerUser(chat), now(), text)
        return Incoming(chat, number, chat, f"P{chat}", None, text, message=message, **how)

    def put(self, *said: Incoming) -> None:
        """Have these come, by one update each."""
        for one in said:
            self._ingress.put_messages([one], {OWN: Progress(one.message_id, 0, now(), 0)})

    async def take(self, *said: Incoming) -> None:
        """Have these come together, and be taken in."""
        self.put(*said)
        async with self.taking():
            await self._ingress.settle()

    @asynccontextmanager
    async def taking(self) -> AsyncIterator[None]:
        """Take in what comes."""
        running = asyncio.create_task(self._ingress.run(lambda *_: None, AsyncMock()))
        try:
            yield
        finally:
            await end_task(running)


@pytest.fixture
async def bench(database: Database, conn: Connection) -> AsyncIterator[Bench]:
    """Where A, B and C have said something before."""
    async with Telegram() as telegram:
        await logged_in(database, telegram, telegram.bot())
    table = HandlerTable()
    table.declare_all([CHAT_TURN])
    async with Jobs(database, table) as jobs:
        (held,) = await acquire(conn)
        people = AssistantSettings.read(unknown_senders="serve")
        door = Door(held, jobs, TelegramSettings.read(), people, MediaSettings.read())
        made = Bench(database, door, await load_session(conn, held))
        await made.take(*(made.words(chat, "first") for chat in (A, B, C)))
        yield made


async def lines(conn: Connection, chat: int) -> list[str]:
    """What was said in a chat, after the first word."""
    said = [row["content"] for row in await fetch(conn, SAID) if row["session_id"] == f"telegram_{chat}"]
    assert said[0] == "first"
    return said[1:]


async def transactions(conn: Connection) -> int:
    """In how many transactions messages were taken in."""
    rows = await fetch(conn, "SELECT count(DISTINCT xmin::text) AS n FROM jobs.telegram_messages")
    return int(rows[0]["n"])


async def jobs_of(conn: Connection, chat: int) -> int:
    """How many jobs see to what was said in a chat."""
    values = {"lane": f"turn:telegram_{chat}"}
    rows = await fetch(
        conn, "SELECT count(*) AS n FROM jobs.jobs WHERE lane = %(lane)s AND user_id IS NOT NULL", values
    )
    return int(rows[0]["n"])


async def test_what_lies_in_the_line_is_one_transaction_and_each_chat_keeps_its_order(
    bench: Bench, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, alone = await transactions(conn), AsyncMock(side_effect=AssertionError("taken in by itself"))
    monkeypatch.setattr(ingress, "take", alone)
    await bench.take(*(bench.words(chat, f"{nth}") for nth in range(5) for chat in (A, B, C)))
    for chat in (A, B, C):
        assert await lines(conn, chat) == ["0", "1", "2", "3", "4"]
    assert await transactions(conn) == before + 1
    (states,) = await fetch(conn, "SELECT pts FROM jobs.telegram_update_states")
    assert states["pts"] == 18
    assert await jobs_of(conn, A) == await jobs_of(conn, C) == 2, "one sees to all that came together"
    (chats,) = await fetch(conn, "SELECT array_agg(reply_to ORDER BY session_id) AS last FROM jobs.telegram_chats")
    assert chats["last"] == [16, 17, 18]


async def test_words_that_no_turn_might_take_at_once_are_seen_to_by_jobs_of_their_own(
    bench: Bench, conn: Connection
) -> None:
    """Else what a turn leaves behind would wait until somebody says more."""
    await bench.take(*(bench.words(A, "€" * (MOST_BYTES_A_JOB // 4)) for _ in range(4)), bench.words(B))
    assert (await jobs_of(conn, A), await jobs_of(conn, B)) == (5, 2)


async def test_who_says_more_at_once_keeps_nobody_else_waiting(
    bench: Bench, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rests between transactions of A's alone; whoever else comes ends that."""
    monkeypatch.setattr(ingress, "REST_S", 3600.0)
    before = await transactions(conn)
    async with bench.taking():
        for text in ("one", "two", "three"):
            bench.put(bench.words(A, text))
            await until(lambda: has_said(conn, A, "one"))
        bench.put(bench.words(B, "now"))
        await until(lambda: has_said(conn, B, "now"))
    assert await lines(conn, A) == ["one", "two", "three"]
    assert await transactions(conn) == before + 2


async def has_said(conn: Connection, chat: int, text: str) -> bool:
    """Whether that was taken in."""
    return text in await lines(conn, chat)


async def test_one_message_that_cannot_be_taken_in_spoils_no_other(bench: Bench, conn: Connection) -> None:
    await bench.take(bench.words(A, "one"), bench.words(B, " "), bench.words(C, "two"), bench.words(B, "three"))
    assert [await lines(conn, chat) for chat in (A, B, C)] == [["one"], ["three"], ["two"]]
    (told,) = await fetch(conn, "SELECT title, metadata FROM jobs.notifications")
    assert (told["title"], told["metadata"]["chat"]) == ("A Telegram message was not taken in", B)
    (states,) = await fetch(conn, "SELECT pts FROM jobs.telegram_update_states")
    assert states["pts"] == 7


async def test_a_chat_in_which_more_than_words_comes_keeps_its_order_and_others_go_together(
    bench: Bench, conn: Connection
) -> None:
    said = [
        bench.words(A, "one"),
        bench.words(B, "zwei"),
        bench.words(A, "/whoami"),
        bench.words(A, "two", reply_to=1),
        bench.words(A, "three"),
    ]
    await bench.take(*said)
    assert await lines(conn, A) == ["one", "[In reply to:]\n> first\ntwo", "three"]
    assert await lines(conn, B) == ["zwei"]
    assert len(await fetch(conn, "SELECT FROM jobs.deliveries")) == 1


async def test_a_message_that_came_twice_is_one(bench: Bench, conn: Connection) -> None:
    twice, before = bench.words(A, "twice"), await transactions(conn)
    await bench.take(twice, bench.words(B), twice)
    assert await transactions(conn) == before + 1, "and breaks nothing"
    await bench.take(twice)
    assert await lines(conn, A) == ["twice"]


async def test_words_decide_what_their_chat_waits_for(bench: Bench, conn: Connection) -> None:
    """As one by one: who may decide takes the call back by saying something else."""
    await execute(
        conn,
        """
        INSERT INTO jobs.pending_actions (id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool,
            arguments, digest, asked_by, may_decide, has_read, expires_at)
        SELECT 1, c.session_id, c.claude_session_id, gen_random_uuid(), j.id, c.user_id, 'main', 'toolu_1', 'Bash', '{}', 'd',
            'test', '{role:external}', '[]', now() + interval '1 hour'
        FROM jobs.chat_sessions AS c JOIN jobs.jobs AS j ON j.lane = 'turn:' || c.session_id WHERE c.session_id = 'telegram_11'
        """,
    )
    await bench.take(bench.words(A, "no, look first"), bench.words(B))
    (action,) = await fetch(conn, "SELECT state, reason FROM jobs.pending_actions")
    assert action == {"state": "superseded", "reason": "no, look first"}


SAYS_MORE: dict[str, Callable[[Bench], Incoming]] = {
    "a command": lambda bench: bench.words(A, "/stop"),
    "an answer": lambda bench: bench.words(A, reply_to=1),
    "an answer to another chat's message": lambda bench: bench.words(A, quote=ELSEWHERE),
    "an edit": lambda bench: bench.words(A, edited_at=now()),
    "a part of an album": lambda bench: bench.words(A, album=1),
    "in a group": lambda bench: bench.words(A, is_private=False),
    "in a topic": lambda bench: bench.words(A, topic_id=2),
}


@pytest.mark.parametrize("what", SAYS_MORE)
async def test_what_is_more_than_words_is_not_plain(bench: Bench, what: str) -> None:
    assert is_plain(bench.door, bench.words(A))
    assert not is_plain(bench.door, SAYS_MORE[what](bench))


async def test_an_answer_to_another_chat_s_message_says_so(bench: Bench, conn: Connection) -> None:
    await bench.take(bench.words(A, quote=ELSEWHERE))
    assert await lines(conn, A) == [f"[In reply to:]\n> {ELSEWHERE}\nhello"]


NOT_SO: dict[str, str] = {
    "whoever says it is a stranger who is held": "UPDATE jobs.users SET admission = 'held' WHERE tg_user_id = 11",
    "they are blocked": "UPDATE jobs.users SET admission = 'blocked' WHERE tg_user_id = 11",
    "an owner of whom words were kept": "UPDATE jobs.users SET (role, admission) = ('owner', 'held') WHERE tg_user_id = 11",
    "nobody is known by the number": "DELETE FROM jobs.user_channels WHERE address = '11'",
    "they came by another account": "UPDATE jobs.user_channels SET account = 'other' WHERE address = '11'",
    "the chat is closed": "UPDATE jobs.chat_sessions SET is_active = false WHERE session_id = 'telegram_11'",
    "the chat is somebody else's": "UPDATE jobs.chat_sessions SET user_id = 'u_2' WHERE session_id = 'telegram_11'",
    "it is known": "UPDATE jobs.telegram_messages SET message_id = 4 WHERE chat_id = 11",
    "something waits before it": """
        INSERT INTO jobs.telegram_waiting (account, chat_id, message_id, session_id, user_id, before, content, forwarded)
        VALUES ('bot', 11, 3, 'telegram_11', 'u_1', '', '', false)""",
}


@pytest.mark.parametrize("why", NOT_SO)
async def test_what_needs_more_is_left_to_be_taken_in_by_itself(bench: Bench, conn: Connection, why: str) -> None:
    await execute(conn, NOT_SO[why])
    said = [bench.words(A, number=4), bench.words(B, number=5), bench.words(A, number=6)]
    async with conn.transaction():
        _, done = await take_plain(conn, bench.door, said)
    assert done == {B}
    assert (await lines(conn, A), await lines(conn, B)) == ([], ["hello"])


async def test_a_chat_that_is_being_closed_is_waited_for(bench: Bench, conn: Connection, other: Connection) -> None:
    async with other.transaction():
        await execute(other, "UPDATE jobs.chat_sessions SET is_active = false WHERE session_id = 'telegram_11'")
        taking = asyncio.create_task(bench.take(bench.words(A), bench.words(B)))
        done, _ = await asyncio.wait({taking}, timeout=0.2)
        assert not done
    await taking
    assert (await lines(conn, A), await lines(conn, B)) == ([], ["hello"])
