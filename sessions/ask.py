"""One turn of an agent that comes to a value, for a handler of one's own.

    begin (the job's turn, or a new one) ─▶ run_turn, with the model's schema ─▶ the value ─▶ Complete(value, also=asked.end)
      └─ no money, or the provider's trouble ◀──┘ the run ends here, and its job goes on later (model_run.py)

It may be called again after any crash: a job keeps the turn that it began, and an answer that is on record is not paid again.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from pydantic import BaseModel, ValidationError

from jobs_core import AnyJob, Connection, Database, fence
from sessions import budgets, metrics
from sessions.account import RunAccount
from sessions.agent import AgentSetup
from sessions.agent_handlers import asking
from sessions.budgets import BudgetShort
from sessions.conversation import Content
from sessions.errors import TurnFailed
from sessions.model_run import ModelRun
from sessions.records import begin_turn, create_session, end_turn, take_session, turn_of_job
from sessions.runner import ClaudeSessions

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Asked(Generic[ModelT]):
    """What a turn came to, in which session; `usage` is the provider's count, None where the value was on record."""

    value: ModelT
    session_id: UUID
    turn_id: UUID
    usage: dict[str, Any] | None

    async def end(self, conn: Connection) -> None:
        """Record that the turn was answered: the `also` of the outcome that keeps the value."""
        await end_turn(conn, self.turn_id)
        metrics.turns.labels("", "answered").inc()


async def ask_agent(
    job: AnyJob,
    prompt: Content,
    result: type[ModelT],
    *,
    database: Database,
    sessions: ClaudeSessions,
    agent: AgentSetup,
    session_id: UUID | None = None,
) -> Asked[ModelT]:
    """Ask an agent for a `result`, once a job; in a session of its own, or in `session_id`, which was created before.

    Jobs that share a session need a lane for it: each takes it from the one before. Where the provider limits, fails or
    refuses, where a budget is used up, and while the database is away, the run ends here, as one that waits does: its job is
    put back or waits, no retry is spent, and the handler starts at its top (docs/provider.md, docs/budgets.md).

    Raises TurnFailed, which fails the job unless the handler catches it: the turn came to nothing, or to what `result` does not
    take. What else is raised, as AgentBroke, is a counted retry. ConfigurationError: no module's `register_agents` has bound
    the handler, or it has asked something else.
    """
    async with asking(job, prompt) as model:
        try:
            await _enter(model)
            turn = await model.begin(partial(_begin, model, database, session_id))
            end = await sessions.run_turn(
                session_id=turn.session_id,
                epoch=turn.epoch,
                turn_id=turn.id,
                prompt=prompt,
                agent=replace(agent, result_schema=result.model_json_schema()),
                on_event=model.on_event,
                account=RunAccount.of(job, turn.id, cap_usd=model.cap_usd),
            )
            await model.heard(end)
        except BudgetShort as short:
            raise model.ends(model.wait(short)) from None
        except Exception as error:
            if put_back := await model.after(error):
                raise model.ends(put_back) from error
            if isinstance(error, TurnFailed):
                metrics.turns.labels("", "failed").inc()
            raise
    if end.deferred:
        raise TurnFailed(f"The agent called {end.deferred.name}, which waits for a decision; give it no such tool here")
    return Asked(_value(result, end.structured), turn.session_id, turn.id, end.usage)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A job's turn, in a session that was taken under `epoch`."""

    id: UUID
    session_id: UUID
    epoch: int


async def _enter(model: ModelRun) -> None:
    last_try = model.gives_up  # it does not wait for chats to try first: put back, it would be given up
    if put_back := await model.enter(interactive=last_try):
        raise model.ends(put_back)


async def _begin(model: ModelRun, database: Database, session_id: UUID | None) -> _Taken:
    """Begin the job's turn, or go on with it, and reserve money for this run. Raises LeaseLost, BudgetShort."""
    job = model.job
    async with database.transaction() as conn:
        await fence(conn, job)
        began = await turn_of_job(conn, job.id)
        if began:
            turn_id, session_id = began.id, began.session_id
        else:
            turn_id = uuid4()
            if session_id is None:
                session_id = uuid4()
                await create_session(conn, session_id)
            await begin_turn(conn, turn_id=turn_id, session_id=session_id, job_id=job.id)
        epoch = await take_session(conn, session_id)
        await model.reserve(conn, session_id, turn_id, budgets.scopes_of(job, turn_id), began=began is not None)
    return _Taken(turn_id, session_id, epoch)


def _value(result: type[ModelT], structured: Any) -> ModelT:
    try:
        return result.model_validate(structured)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise TurnFailed(f"The model's result is no {result.__name__}: {place}: {first['msg']}") from None
