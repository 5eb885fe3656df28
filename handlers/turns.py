"""One turn of a chat, whatever asks for it: what `chat_turn` and `scheduled_turn` share.

    bind what was said to a turn, take the session ─▶ the agent works ─▶ answer, turn's end and job's end in one transaction
                                                            └─ a call needs approval ─▶ action and wait in one transaction

It acts for the user whose chat it is: who that is, and what the agent may do for them, is read at the start of each run.

It calls the model, writes into the chat, and the owner's agent works in a folder. It may be repeated at any point: a job keeps
the turn that it began, a session asks the prompt of a turn once whatever happens, and an answer that is on record is not asked
for again.

A turn that fails for good says so in its chat. A job that is ended for it, because its workers died too often, cannot; the
chat's next job does it then. What a job type adds to that stands in its own module, as a `TurnKind`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic
from uuid import UUID, uuid4

import structlog

from assistant import agents, chats, policy
from assistant.actions import Place
from assistant.chats import ChatTurnResult, Said
from assistant.errors import AssistantError
from assistant.gatekeeper import Gatekeeper
from assistant.handing_over import hand_over
from assistant.owner_alarms import TELL_OWNER
from assistant.people import acting_for
from assistant.remarks import remark
from assistant.tools import RunContext, tools_for
from assistant.undelivered import tell_agent, told_in
from assistant.workspaces import Workspaces
from handlers.turn_kind import End, InputT, TurnKind
from jobs_core import (
    AnyJob,
    Complete,
    ConfigurationError,
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
from jobs_core.wake import Ready
from sessions import (
    AgentSetup,
    Audience,
    BudgetShort,
    ClaudeSessions,
    PromptRefused,
    RunAccount,
    SessionsError,
    TranscriptLost,
    TurnFailed,
    begin_turn,
    end_turn,
    shown_names,
    take_session,
    turn_of_job,
)
from sessions.budgets import scopes_of
from sessions.model_run import DATABASE_PAUSE, ModelRun, Wake, nobody

log = structlog.get_logger()

LEFT = "its job ended before there was an answer. Please ask once more."


def register(
    kind: TurnKind[InputT],
    table: HandlerTable,
    *,
    database: Database,
    sessions: ClaudeSessions,
    workspaces: Workspaces | None = None,
    wake: Wake = nobody,
) -> None:
    """Bind the handler of one kind of turns to its type; the other arguments are those of `Turns`."""
    table.register_handler(kind.job_type, Turns(kind, database, sessions, workspaces, wake).run)


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that this run may work on, and for whom: its session was taken under `epoch`."""

    id: UUID
    chat: str
    cast: agents.Cast
    claude_session_id: UUID
    epoch: int
    said: Sequence[Said]
    note: str | None


class Turns(Generic[InputT]):
    """The handler of a job type whose jobs are turns of chats.

    sessions: the agents of this process, started with its worker. workspaces: where they work for the owner; None: nowhere.
    wake: the worker's notifier.
    """

    def __init__(
        self,
        kind: TurnKind[InputT],
        database: Database,
        sessions: ClaudeSessions,
        workspaces: Workspaces | None = None,
        wake: Wake = nobody,
    ) -> None:
        self._kind = kind
        self._database = database
        self._sessions = sessions
        self._workspaces = workspaces
        self._wake = wake

    async def run(self, job: Job[InputT]) -> Outcome:
        """Answer what was said in a chat and not yet answered. Raises LeaseLost, with nothing written."""
        given_up_after = self._kind.job_type.give_up_after
        model = ModelRun(self._database, job, give_up_after=given_up_after, alarms=TELL_OWNER, wake=self._wake)
        say = partial(self._say, job)
        try:
            put_back = await model.enter(interactive=self._kind.interactive)
            if put_back and not model.gives_up:
                return put_back
            turn = await model.begin(partial(self._begin, job, model))
        except BudgetShort as short:
            return await model.leave(model.wait(short, say))
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked must hear of it in the end
            return await model.leave(self._not_begun(job, error))
        if turn is None:
            return await model.leave(Complete(ChatTurnResult(status="nothing_to_do")))
        if put_back:
            return await model.leave(self._failed(turn, job, f"{put_back.reason}; {self._kind.given_up}"))
        with structlog.contextvars.bound_contextvars(chat=turn.chat, turn_id=str(turn.id)), acting_for(turn.cast.user):
            return await model.leave(await self._answer(turn, job, model))

    async def _say(self, job: Job[InputT], conn: Connection, text: str) -> Sequence[Ready]:
        await self._kind.open(conn, job)
        return await remark(conn, text, session_id=self._kind.chat_of(job))

    async def _begin(self, job: Job[InputT], model: ModelRun) -> Turn | None:
        """Find the job's turn, or bind what was said to a new one; None where everything is seen to already."""
        chat = self._kind.chat_of(job)
        async with self._database.transaction() as conn:
            await fence(conn, job)
            await self._kind.open(conn, job)
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
                    await tell_agent(conn, chat, turn_id)
            if not said:  # another job has seen to it, or somebody has stopped it
                return None
            epoch = await take_session(conn, claude_session_id)
            cast = await agents.of_chat(conn, chat)
            self._kind.check(cast)
            scopes = scopes_of(job, turn_id, chat=chat, user=cast.user.id, agent=cast.agent.name)
            note = await told_in(conn, chat, turn_id)
            declare = partial(agents.declare_caps_of, agent=cast.agent, turn_id=turn_id)
            await model.reserve(conn, claude_session_id, turn_id, scopes, began=began is not None, declare=declare)
        return Turn(turn_id, chat, cast, claude_session_id, epoch, said, note)

    async def _answer(self, turn: Turn, job: Job[InputT], model: ModelRun) -> Outcome:
        try:
            async with asyncio.timeout(self._kind.timeout.total_seconds()):
                agent = self._setup(turn, job)
                keeper = await self._gatekeeper(turn, job, agent)
                if keeper.waits:
                    return keeper.waits
                said = await hand_over(self._database, turn.said, agent.workspace)
                end = await self._sessions.run_turn(
                    session_id=turn.claude_session_id,
                    epoch=turn.epoch,
                    turn_id=turn.id,
                    prompt=chats.prompt_of(said, turn.note),
                    agent=keeper.guard(agent),
                    on_event=model.on_event,
                    account=RunAccount.of(job, turn.id, cap_usd=model.cap_usd, agent=turn.cast.agent.name),
                    audience=Audience(turn.chat, job.token),
                )
                await model.heard(end)
                await keeper.close()
                if end.deferred:
                    return await keeper.ask(end.deferred)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked must hear of it in the end
            return await model.after(error) or self._not_answered(turn, job, error, given_up=model.gives_up)
        log.info("turn.answered", source=end.source, usage=end.usage, cost_usd=float(end.cost_usd))
        return self._answered(turn, job, end.answer)

    async def _gatekeeper(self, turn: Turn, job: Job[InputT], setup: AgentSetup) -> Gatekeeper:
        agent, user = turn.cast.agent, turn.cast.user
        place = Place(turn.chat, turn.claude_session_id, turn.id, user.id, agent.name)
        own_tools = shown_names([tool for tool in setup.own_tools if not tool.gated])
        rules = policy.parse(agent.gate_policy, role=user.role, workspace=setup.workspace, own_tools=own_tools)
        return await Gatekeeper.open(self._database, job, place, rules, unattended=self._kind.unattended(job))

    def _setup(self, turn: Turn, job: Job[InputT]) -> AgentSetup:
        cast = turn.cast
        agent = agents.setup_for(cast.agent, cast.user, owner=cast.owner, workspaces=self._workspaces)
        context = RunContext(self._database, cast.user, turn.chat, turn.id, job, agent.workspace, cast.agent.name)
        return replace(agent, own_tools=tools_for(context))

    def _answered(self, turn: Turn, job: Job[InputT], text: str) -> Outcome:
        if not text.strip():
            return self._failed(turn, job, "the model's answer was empty")

        async def write(conn: Connection) -> Sequence[Ready]:
            await end_turn(conn, turn.id)
            ready = await chats.answer(conn, turn.chat, turn.id, text)
            return [*ready, *(await self._kind.ended(conn, job, End(answered=True, text=text)) or ())]

        return Complete(ChatTurnResult(status="answered", turn_id=turn.id), also=write)

    def _not_answered(self, turn: Turn, job: Job[InputT], error: Exception, *, given_up: bool) -> Outcome:
        match error:
            case PromptRefused() | TranscriptLost():
                anew = "The conversation begins anew: the agent knows nothing of what was said"
                return self._failed(turn, job, f"{error} {anew}", anew=True)
            case TurnFailed():
                return self._failed(turn, job, str(error))
            case SessionsError() | ConfigurationError():
                reason = str(error)
            case TimeoutError():
                reason = f"it took more than {self._kind.timeout}"
            case _:
                reason = _own_fault(job, error)
        if given_up:
            return self._failed(turn, job, f"{reason}; {self._kind.given_up}")
        if job.retry_count >= self._kind.job_type.retries.max_retries:
            return self._failed(turn, job, reason)
        return Retry(reason, because="timeout" if isinstance(error, TimeoutError) else "error")

    def _not_begun(self, job: Job[InputT], error: Exception) -> Outcome:
        """What becomes of a job whose run could begin no turn; the last one fails what it would have answered, with a word."""
        if db.will_pass(error):
            return Snooze(DATABASE_PAUSE, reason=f"the database was away: {db.describe(error)}")
        may_pass = not isinstance(error, AssistantError)
        reason, chat = _own_fault(job, error) if may_pass else str(error), self._kind.chat_of(job)
        if may_pass and job.retry_count < self._kind.job_type.retries.max_retries:
            return Retry(reason)

        async def say_so(conn: Connection) -> Sequence[Ready]:
            await self._kind.open(conn, job)
            began = await turn_of_job(conn, job.id)
            turn_id = began.id if began else uuid4()
            if not began and await chats.hold(conn, chat):
                await chats.bind(conn, chat, turn_id)
            ready = await chats.fail(conn, chat, turn_id, reason)
            return [*ready, *(await self._kind.ended(conn, job, End(answered=False, text=reason)) or ())]

        return Fail(reason, also=say_so)

    def _failed(self, turn: Turn, job: Job[InputT], reason: str, *, anew: bool = False) -> Fail:
        async def say_so(conn: Connection) -> Sequence[Ready]:
            if anew:
                await chats.begin_anew(conn, turn.chat)
            ready = await chats.fail(conn, turn.chat, turn.id, reason)
            return [*ready, *(await self._kind.ended(conn, job, End(answered=False, text=reason)) or ())]

        return Fail(reason, also=say_so)


def _own_fault(job: AnyJob, error: Exception) -> str:
    log.error("turn.broke", exc_info=error)
    return f"an error of this program ({type(error).__name__}); the log of job {job.id} says more"
