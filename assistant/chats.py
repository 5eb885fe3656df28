"""Chats: what people say to an agent, on whatever channel, and what comes back.

    receive ─▶ message + ChatTurn job ─▶ bind ─▶ turn ─▶ answer │ fail ─▶ chat_history.py

A message is a job's only by way of the turn that binds it: the first job of the chat's lane takes all that was said by then,
and a job that finds nothing left has nothing to do. Verbs take the connection first: the caller owns the transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict

from assistant import callback_events
from assistant.agents import DEFAULT_AGENT
from assistant.approvals import said_in
from assistant.content import MAX_FILES_BYTES, File, Spoken, blocks_of
from assistant.deliveries import owe_reply
from assistant.effects import forget_effects
from assistant.errors import ChatClosed, NoSuchChat
from assistant.files import brings, files_of
from assistant.incoming import Channel, NewChat, begin_chat, is_open, said_before, say
from assistant.media import Media, of_messages
from jobs_core import (
    Connection,
    Created,
    InvalidInput,
    Jobs,
    JobType,
    KeyReused,
    RetryPolicy,
    execute,
    fetch,
    fetch_one,
    gate,
    statement,
)
from jobs_core.wake import Notifier, Ready
from sessions import create_session, metrics

MAX_MESSAGE_BYTES = gate.MAX_INPUT_BYTES
MAX_ANSWER_CHARS = 1_000_000  # far above what a model writes in one turn; a bound, so that a row has one


class ChatTurnInput(BaseModel):
    """Which chat has something to answer; what was said stands in its messages."""

    model_config = ConfigDict(extra="forbid")

    session_id: str


class ChatTurnResult(BaseModel):
    """What became of the run: `turn_id` names the turn whose answer stands in the chat."""

    status: Literal["answered", "nothing_to_do"]
    turn_id: UUID | None = None


CHAT_TURN = JobType(
    "chat_turn",
    ChatTurnInput,
    ChatTurnResult,
    queue="chat",
    lane=lambda turn: f"turn:{turn.session_id}",
    retries=RetryPolicy(max_retries=3),  # 30 + 60 + 120 s: somebody waits for the answer, or to hear that none comes
    timeout=timedelta(minutes=30),
)


@dataclass(frozen=True, slots=True)
class Received:
    """A message that is in the chat once the caller's transaction is committed; call `wake()` after that.

    job_id: of the job that came with it. job: that job, if it came just now; None where the message was there before.
    ready: where it, and who goes on because of what it says, stand ready; an outcome's `also` returns it instead of `wake()`.
    """

    session_id: str
    message_id: int
    job_id: int
    job: Created | None = None
    ready: frozenset[Ready] = field(default=frozenset(), repr=False, compare=False)
    notifier: Notifier | None = field(default=None, repr=False, compare=False)

    def wake(self) -> None:
        """Wake idle workers, if there is something new for them."""
        if self.notifier:
            self.notifier.wake(self.ready)


@dataclass(frozen=True, slots=True)
class Said:
    """A person's message, as a turn takes it."""

    id: int
    content: str
    files: Sequence[File] = ()
    media: Sequence[Media] = ()
    """Files that are not a part of the prompt as they are; `handing_over` says what an agent is given of them."""


async def receive(
    conn: Connection,
    jobs: Jobs,
    *,
    session_id: str | None,
    channel: Channel,
    message: str,
    user_id: str | None,
    idempotency_key: str | None = None,
    agent: str = DEFAULT_AGENT,
    trial: bool = False,
    account: str | None = None,
    files: Sequence[File] = (),
    media: Sequence[int] = (),
    begin: bool = False,
) -> Received:
    """Take a person's message into a chat, a new one where `session_id` is None, with the job that will see to it.

    user_id: whose message it is; a chat takes those of whoever began it only. None where nobody is known: the owner's. agent,
    trial, account: of a new chat, which agent answers, whether it is only tried out, and the account of ours that it came by,
    from which it is answered; None: its channel's only one. With a key a repeat of the call is the same
    message, and began the same chat, whenever it comes. files: as `read_content` has checked them; media: ids of
    files that came by other ways (media.py); the message may be empty then. begin: where there is no chat of that id, one is
    begun. Where the chat waits for a decision that is theirs, the message is one.

    Call it last in a transaction: the job locks its lane. Raises InvalidInput for a message that is empty, longer than
    256 KiB or cannot be stored, KeyReused for a key that came with another text, NoSuchChat, ChatClosed; nothing was written
    then.
    """
    check_message(message, [*files, *media])
    if idempotency_key is not None:
        gate.check_text(idempotency_key, field="idempotency_key", max_chars=gate.MAX_NAME_CHARS)
    if session_id is None:
        session_id = await begin_chat(conn, NewChat(channel, user_id, agent, trial, account), idempotency_key)
    try:
        takes_more = await is_open(conn, session_id, channel, user_id)
    except NoSuchChat:
        if not begin:
            raise
        await begin_chat(conn, NewChat(channel, user_id, agent, trial, account), session_id=session_id)
        takes_more = await is_open(conn, session_id, channel, user_id)  # it may be somebody else's
    message_id = await say(conn, session_id, message, files, idempotency_key, media=media) if takes_more else None
    if message_id is None:
        return await _repeated(conn, session_id, message, files, idempotency_key)
    job = await jobs.create(CHAT_TURN, ChatTurnInput(session_id=session_id), user_id=user_id, conn=conn)
    if idempotency_key is not None:
        await execute(conn, statement("assistant", "message/came_with"), {"id": message_id, "job_id": job.id})
    ready = await said_in(conn, session_id, user_id, message)
    return Received(session_id, message_id, job.id, job, job.ready.union(ready), jobs.notifier)


async def bind(conn: Connection, session_id: str, turn_id: UUID) -> list[Said]:
    """Bind the unbound messages of the chat to the turn, for good; returns them in order, [] where none is left.

    Those past 256 KiB of text or 8 MB of files in all are left to the turns of their own jobs, which stand behind: together
    they might be more than a model takes.
    """
    values = {
        "session_id": session_id,
        "turn_id": turn_id,
        "max_bytes": MAX_MESSAGE_BYTES,
        "max_file_bytes": MAX_FILES_BYTES,
    }
    rows = await fetch(conn, statement("assistant", "message/bind"), values)
    return await _with_files(conn, sorted(rows, key=lambda row: int(row["id"])))


async def bound(conn: Connection, turn_id: UUID) -> list[Said]:
    """The messages that a turn bound, in order, [] once it has ended: somebody may have stopped it."""
    return await _with_files(conn, await fetch(conn, statement("assistant", "message/bound"), {"turn_id": turn_id}))


async def hold(conn: Connection, session_id: str) -> UUID | None:
    """The Claude session behind a chat in which a turn begins, None where there is no such chat.

    Until the caller's transaction ends nobody stops or resets the chat: what the turn binds is seen by whoever does next.
    """
    row = await fetch_one(conn, statement("assistant", "chat/hold"), {"session_id": session_id})
    return row["claude_session_id"] if row else None


async def left_turns(conn: Connection, session_id: str) -> list[UUID]:
    """The chat's turns that bound messages and have not ended, the oldest first.

    Asked by the run that holds the chat's lane: those of other jobs were left by jobs that ended without a word, because
    their workers died too often.
    """
    rows = await fetch(conn, statement("assistant", "message/left_turns"), {"session_id": session_id})
    return [row["turn_id"] for row in rows]


def prompt_of(said: Sequence[Said], note: str | None = None) -> str | list[dict[str, Any]]:
    """What a turn asks: all that was said, with its files where they stand in it; before it a note of ours."""
    spoken = [Spoken(message.content, message.files) for message in said]
    return blocks_of([Spoken(note, ()), *spoken] if note else spoken)


async def claude_session_of(conn: Connection, session_id: str) -> UUID:
    """The Claude session behind a chat. Raises NoSuchChat."""
    row = await fetch_one(conn, statement("assistant", "chat/claude_session"), {"session_id": session_id})
    if row is None:
        raise NoSuchChat(f"There is no chat {session_id!r}")
    claude_session_id: UUID = row["claude_session_id"]
    return claude_session_id


async def answer(conn: Connection, session_id: str, turn_id: UUID, text: str) -> Sequence[Ready]:
    """Write the turn's answer into the chat; a turn that ended before has its end already, and the database refuses.

    Returns where the job stands ready that delivers it, as `fail` does.
    """
    await execute(conn, statement("assistant", "message/end"), {"turn_id": turn_id})
    return await _conclude(conn, session_id, turn_id, "answered", gate.clean_text(text, max_chars=MAX_ANSWER_CHARS))


async def fail(conn: Connection, session_id: str, turn_id: UUID, reason: str) -> Sequence[Ready]:
    """Mark the turn's messages as failed and say so in the chat; nothing happens where the turn ended before."""
    text = gate.clean_text(f"This could not be answered: {reason}")
    return await end_unanswered(conn, session_id, turn_id, text, outcome="failed") or ()


async def end_unanswered(
    conn: Connection, session_id: str, turn_id: UUID, text: str, *, outcome: Literal["failed", "stopped"]
) -> Sequence[Ready] | None:
    """End a turn with a word of the chat's own; None where it ended before, answered or not.

    Returns where the job stands ready that delivers it.
    """
    if not await execute(conn, statement("assistant", "message/end"), {"turn_id": turn_id}):
        return None
    return await _conclude(conn, session_id, turn_id, outcome, text)


async def begin_anew(conn: Connection, session_id: str) -> None:
    """Have the chat go on in a new Claude session, which knows nothing of the old one."""
    claude_session_id = uuid4()
    await create_session(conn, claude_session_id)
    values = {"session_id": session_id, "claude_session_id": claude_session_id}
    await execute(conn, statement("assistant", "chat/begin_anew"), values)


def check_message(message: str, files: Sequence[object] = ()) -> None:
    """Refuse what no chat takes: raises InvalidInput as `receive`."""
    gate.check_text(message, field="message")
    if not message.strip() and not files:
        raise InvalidInput("message: is empty; say something", field="message")
    size = len(message.encode())
    if size > MAX_MESSAGE_BYTES:
        raise InvalidInput(f"message: {size} bytes, at most {MAX_MESSAGE_BYTES} are allowed", field="message")


async def _with_files(conn: Connection, rows: Sequence[Any]) -> list[Said]:
    brought = [row["id"] for row in rows if row["file_bytes"]]
    files, media = await files_of(conn, brought), await of_messages(conn, brought)
    return [Said(row["id"], row["content"], files.get(row["id"], ()), media.get(row["id"], ())) for row in rows]


async def _repeated(
    conn: Connection, session_id: str, message: str, files: Sequence[File], idempotency_key: str | None
) -> Received:
    before = await said_before(conn, session_id, idempotency_key)
    if before is None:
        raise ChatClosed(f"The chat {session_id!r} was closed; leave session_id out to begin a new one")
    if before.content != message or not await brings(conn, before.id, files):
        raise KeyReused(
            f"idempotency_key: {idempotency_key!r} was given to message {before.id}, with another text or other files; "
            "repeat that one, or take a new key",
            field="idempotency_key",
        )
    return Received(session_id, before.id, before.job_id)


async def _conclude(
    conn: Connection, session_id: str, turn_id: UUID, outcome: Literal["answered", "failed", "stopped"], content: str
) -> Sequence[Ready]:
    answered = outcome == "answered"
    kind = "ai" if answered else "system"
    values = {"session_id": session_id, "type": kind, "content": content, "turn_id": turn_id}
    row = await fetch_one(conn, statement("assistant", "message/conclude"), values)
    assert row is not None, "an insert without a condition returns its row"
    metrics.turns.labels(row["agent"], outcome).inc()
    await forget_effects(conn, turn_id)
    ready = await owe_reply(conn, session_id, turn_id, "answer" if answered else "failure", content)
    return (*ready, *await callback_events.turn_ended(conn, session_id, turn_id, outcome, content))
