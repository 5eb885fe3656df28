"""Stop and reset: what somebody does who wants no answer any more, or a conversation that knows nothing of this one.

    stop    chat locked ─▶ every message without an answer is ended, the chat says so, requests to cancel their jobs ─▶ commit
    reset   the same ─▶ a new Claude session, the chat says so ─▶ commit
    close   the same as stop ─▶ the chat takes no more ─▶ commit
                                                                  └─▶ runs are told, jobs that nobody runs are ended

From the commit on no answer to what was said before appears in the chat: a turn ends once, and these have ended. So a run that
is at its end just then writes nothing; its job is cancelled. What is said later waits in the lane for that job to end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from assistant import chats
from assistant.chat_list import list_chats
from assistant.errors import NoSuchChat
from assistant.remarks import remark
from jobs_core import Connection, Database, Jobs, db, execute, fetch_one, statement
from jobs_core.cancel import ask
from jobs_core.wake import Ready
from sessions import jobs_of_turns

STOPPED = "Stopped. There will be no answer."
STOPPED_BEFORE = "Stopped before it began. There will be no answer."
ANEW = "The conversation begins anew here. The agent knows nothing of what stands above."
STOP_REASON = "somebody stopped it in its chat"
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a stop or a reset came to. turns: how many had no answer yet and will get none; 0: there was nothing to stop.

    job_ids: of their jobs, which have been asked to end.
    """

    session_id: str
    turns: int
    job_ids: Sequence[int]


async def stop(database: Database, jobs: Jobs, session_id: str) -> Stopped:
    """Stop what the agent does in a chat, and what waits there to be done. Raises NoSuchChat."""
    return await _change(database, jobs, session_id, anew=False)


async def reset(database: Database, jobs: Jobs, session_id: str) -> Stopped:
    """Stop everything in a chat, and have it go on in a new Claude session, which knows nothing. Raises NoSuchChat."""
    return await _change(database, jobs, session_id, anew=True)


async def reset_all(database: Database, jobs: Jobs, user_id: str) -> list[Stopped]:
    """Reset every open chat of a user, the newest first; those that are begun meanwhile are left alone."""
    done, before = list[Stopped](), None
    while True:
        async with database.connection() as conn:
            page = await list_chats(conn, user_id=user_id, limit=_PAGE, before=before)
        if not page:
            return done
        done += [await reset(database, jobs, chat.session_id) for chat in page if chat.is_active]
        before = page[-1].session_id


async def close(database: Database, jobs: Jobs, session_id: str) -> Stopped:
    """Stop everything in a chat, which takes no more messages from then on; what was said stays. Raises NoSuchChat."""
    return await _change(database, jobs, session_id, anew=False, closes=True)


async def _change(database: Database, jobs: Jobs, session_id: str, *, anew: bool, closes: bool = False) -> Stopped:
    async def once() -> tuple[Stopped, Sequence[Ready]]:
        async with database.transaction() as conn:
            stopped = await stop_in(conn, session_id, anew=anew)
            if closes:
                closed = {"session_id": session_id, "active": False}
                await execute(conn, statement("assistant", "chat/set_active"), closed)
            return stopped

    stopped, ready = await db.retried(once)
    jobs.notifier.wake(ready)
    for job_id in stopped.job_ids:
        await jobs.cancel(job_id, reason=STOP_REASON)
    return stopped


async def stop_in(conn: Connection, session_id: str, *, anew: bool) -> tuple[Stopped, Sequence[Ready]]:
    """All of a stop, or (anew) a reset, that is one fact, in the caller's transaction. Raises NoSuchChat.

    The chat is locked first, as by whoever takes a message in or begins a turn. Returns also where jobs stand ready that
    deliver its words; wake those after the commit, and cancel `job_ids`, for STOP_REASON, or upkeep does, a second later.
    """
    if await fetch_one(conn, statement("assistant", "chat/lock"), {"session_id": session_id}) is None:
        raise NoSuchChat(f"There is no chat {session_id!r}")
    left = await chats.left_turns(conn, session_id)
    begun, waiting, ready = list[UUID](), 0, list[Ready]()
    for turn in left:
        if (told := await chats.end_unanswered(conn, session_id, turn, STOPPED, outcome="stopped")) is not None:
            begun.append(turn)
            ready += told
    while await chats.bind(conn, session_id, turn := uuid4()):
        ready += await chats.end_unanswered(conn, session_id, turn, STOPPED_BEFORE, outcome="stopped") or ()
        waiting += 1
    job_ids = await jobs_of_turns(conn, begun)
    await ask(conn, job_ids, reason=STOP_REASON)
    if anew:
        await chats.begin_anew(conn, session_id)
        ready += await remark(conn, ANEW, session_id=session_id)
    return Stopped(session_id, len(begun) + waiting, job_ids), ready
