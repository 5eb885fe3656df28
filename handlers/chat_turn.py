"""`chat_turn`: one turn of a chat. Queue `chat`, lane `turn:{chat session}`. Created with each message by `chats.receive`.

    bind what was said to a turn, take the session ─▶ the agent works ─▶ answer, turn's end and job's end in one transaction

It calls the model and writes into the chat. It may be repeated at any point: a job keeps the turn that it began, a session
asks the prompt of a turn once whatever happens, and an answer that is on record is not asked for again.

A turn that fails for good says so in its chat. A job that is ended for it, because its workers died too often, cannot; the
chat's next job does it then.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import structlog

from assistant import chats, prompts
from assistant.chats import CHAT_TURN, ChatTurnInput, ChatTurnResult
from jobs_core import (
    Complete,
    Connection,
    Database,
    Fail,
    HandlerTable,
    Job,
    LeaseLost,
    Outcome,
    Retry,
    Snooze,
    db,
    fence,
)
from sessions import (
    AgentSetup,
    Audience,
    ClaudeSessions,
    Content,
    CredentialsRefused,
    PromptRefused,
    RateLimited,
    RunAccount,
    SessionsError,
    TranscriptLost,
    TurnFailed,
    begin_turn,
    end_turn,
    take_session,
    turn_of_job,
)

log = structlog.get_logger()

RATE_LIMIT_PAUSE = timedelta(seconds=60)
"""The CLI itself waits out what is shorter; how much longer the provider wants is not told."""
DATABASE_PAUSE = timedelta(seconds=1)
TURN_TIMEOUT = CHAT_TURN.timeout - timedelta(minutes=1)
"""Less than the worker gives the job, so that a turn which takes too long can still say so in its chat."""
LEFT = "its job ended before there was an answer. Please ask once more."


def register(table: HandlerTable, *, database: Database, sessions: ClaudeSessions) -> None:
    """Bind the handler to its type; `sessions` are the agents of this process, started with its worker."""
    table.register_handler(CHAT_TURN, ChatTurns(database, sessions).run)


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that this run may work on: its session was taken under `epoch`."""

    id: UUID
    chat: str
    claude_session_id: UUID
    epoch: int
    prompt: Content


class ChatTurns:
    """The handler of `chat_turn` jobs."""

    def __init__(self, database: Database, sessions: ClaudeSessions) -> None:
        self._database = database
        self._sessions = sessions

    async def run(self, job: Job[ChatTurnInput]) -> Outcome:
        """Answer what was said in a chat and not yet answered. Raises LeaseLost, with nothing written."""
        try:
            turn = await self._begin(job)
        except Exception as error:
            if not db.will_pass(error):
                raise
            return Snooze(DATABASE_PAUSE, reason=f"the database was away: {db.describe(error)}")
        if turn is None:
            return Complete(ChatTurnResult(status="nothing_to_do"))
        with structlog.contextvars.bound_contextvars(chat=turn.chat, turn_id=str(turn.id)):
            return await self._answer(turn, job)

    async def _begin(self, job: Job[ChatTurnInput]) -> Turn | None:
        """Find the job's turn, or bind what was said to a new one; None where everything is seen to already."""
        chat = job.input.session_id
        async with self._database.transaction() as conn:
            await fence(conn, job)
            began = await turn_of_job(conn, job.id)
            if began:
                turn_id, claude_session_id = began.id, began.session_id
                said = await chats.bound(conn, turn_id)
            elif (held := await chats.hold(conn, chat)) is None:
                return None
            else:
                for left in await chats.left_turns(conn, chat):
                    await chats.fail(conn, chat, left, LEFT)
                turn_id = uuid4()
                said = await chats.bind(conn, chat, turn_id)
                claude_session_id = held
                if said:
                    await begin_turn(conn, turn_id=turn_id, session_id=claude_session_id, job_id=job.id)
            if not said:  # another job has seen to it, or somebody has stopped it
                return None
            epoch = await take_session(conn, claude_session_id)
        return Turn(turn_id, chat, claude_session_id, epoch, chats.prompt_of(said))

    async def _answer(self, turn: Turn, job: Job[ChatTurnInput]) -> Outcome:
        try:
            async with asyncio.timeout(TURN_TIMEOUT.total_seconds()):
                end = await self._sessions.run_turn(
                    session_id=turn.claude_session_id,
                    epoch=turn.epoch,
                    turn_id=turn.id,
                    prompt=turn.prompt,
                    agent=AgentSetup(prompts.CHAT),
                    account=RunAccount.of(job, turn.id),
                    audience=Audience(turn.chat, job.token),
                )
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked must hear of it in the end
            if db.will_pass(error):
                return Snooze(DATABASE_PAUSE, reason=f"the database was away: {db.describe(error)}")
            return _not_answered(turn, job, error)
        log.info("turn.answered", source=end.source, usage=end.usage, cost_usd=float(end.cost_usd))
        return _answered(turn, end.answer)


def _answered(turn: Turn, text: str) -> Outcome:
    if not text.strip():
        return _failed(turn, "the model's answer was empty")

    async def write(conn: Connection) -> None:
        await chats.answer(conn, turn.chat, turn.id, text)
        await end_turn(conn, turn.id)

    return Complete(ChatTurnResult(status="answered", turn_id=turn.id), also=write)


def _not_answered(turn: Turn, job: Job[ChatTurnInput], error: Exception) -> Outcome:
    match error:
        case RateLimited() if datetime.now(UTC) < job.give_up_at:
            return Snooze(RATE_LIMIT_PAUSE, reason=f"rate limited: {error}", because="rate_limited")
        case RateLimited():  # the settle would give up as well, but without a word in the chat
            return _failed(turn, f"{error}; given up after {CHAT_TURN.give_up_after}")
        case PromptRefused() | TranscriptLost():
            return _failed(
                turn, f"{error} The conversation begins anew: the agent knows nothing of what was said", anew=True
            )
        case CredentialsRefused() | TurnFailed():
            return _failed(turn, str(error))
        case SessionsError():
            reason = str(error)
        case TimeoutError():
            reason = f"it took more than {TURN_TIMEOUT}"
        case _:
            log.error("turn.broke", exc_info=error)
            reason = f"an error of this program ({type(error).__name__}); the log of job {job.id} says more"
    if job.retry_count >= CHAT_TURN.retries.max_retries:
        return _failed(turn, reason)
    return Retry(reason, because="timeout" if isinstance(error, TimeoutError) else "error")


def _failed(turn: Turn, reason: str, *, anew: bool = False) -> Fail:
    async def say_so(conn: Connection) -> None:
        await chats.fail(conn, turn.chat, turn.id, reason)
        if anew:
            await chats.begin_anew(conn, turn.chat)

    return Fail(reason, also=say_so)
