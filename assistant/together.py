"""What several people say in chats of theirs, taken in together: in three statements, however many they are.

    the chats are there, theirs and open ─▶ jobs ─▶ messages ─▶ the decisions that chats wait for
       └ others ─▶ not by this way: `chats.receive`, one by one

For doors at which more than one message lies when they look. Verbs take the connection first: the caller owns the transaction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.approvals import said_in
from assistant.chats import CHAT_TURN, MAX_MESSAGE_BYTES, ChatTurnInput, check_message
from assistant.incoming import Channel
from jobs_core import Connection, Jobs, NewJob, fetch, statement
from jobs_core.wake import Ready

MOST_BYTES_A_JOB = MAX_MESSAGE_BYTES // 8
"""Of words that share a job. A turn that leaves words behind has taken several times as much (message/bind), so that no fewer
jobs are left than turns are needed."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a person says to a chat, without files and key."""

    session_id: str
    user_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Received:
    """Messages that are in their chats once the caller's transaction is committed, by id in the order given; then `wake()`."""

    ids: Sequence[int]
    wake: Callable[[], object]


async def open_chats(conn: Connection, channel: Channel, whose: Sequence[tuple[str, str]]) -> set[str]:
    """Those of these chats that their people began, and that take messages until the caller's transaction ends.

    whose: ids of chats and of people. One that is a person's for another reason, as `chats.receive` knows them, is not told.
    """
    if not whose:
        return set()
    session_ids, user_ids = map(list, zip(*whose, strict=True))
    values = {"channel": channel, "session_ids": session_ids, "user_ids": user_ids}
    rows = await fetch(conn, statement("assistant", "chat/open_of"), values)
    return {row["session_id"] for row in rows}


async def receive_all(conn: Connection, jobs: Jobs, said: Sequence[Words]) -> Received:
    """As `chats.receive` for each, to chats that are open until the caller's transaction ends; all, or none.

    Call it last in a transaction: the jobs lock their lanes. Raises InvalidInput for a message that cannot be taken.
    """
    for words in said:
        check_message(words.text)
    new = [
        NewJob(CHAT_TURN, ChatTurnInput(session_id=one.session_id), user_id=one.user_id) for one in _one_a_turn(said)
    ]
    created = await jobs.create_many(new, conn=conn)
    values = {"session_ids": [one.session_id for one in said], "contents": [one.text for one in said]}
    rows = await fetch(conn, statement("assistant", "message/say_all"), values)
    ready = set[Ready](created.ready)
    for words, row in zip(said, rows, strict=True):
        if row["waits"]:
            ready.update(await said_in(conn, words.session_id, words.user_id, words.text))
    return Received([row["id"] for row in rows], lambda: jobs.notifier.wake(ready))


def _one_a_turn(said: Sequence[Words]) -> list[Words]:
    """Of each so many words of a chat that any turn takes them at once, the first: one job sees to them."""
    first, bytes_of = list[Words](), dict[str, int]()
    for one in said:
        size = len(one.text.encode())
        before = bytes_of.get(one.session_id)
        if before is None or before + size > MOST_BYTES_A_JOB:
            first.append(one)
            before = 0
        bytes_of[one.session_id] = before + size
    return first
