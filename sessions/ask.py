"""One turn of an agent that comes to a value, for a handler of one's own.

    begin (the job's turn, or a new one) ─▶ run_turn, with the model's schema ─▶ the value ─▶ Complete(value, also=asked.end)

It may be called again after any crash: a job keeps the turn that it began, and an answer that is on record is not paid again.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from pydantic import BaseModel, ValidationError

from jobs_core import AnyJob, Connection, Database, Wait, fence
from jobs_core.steps import Waiting
from sessions import budgets
from sessions.account import RunAccount
from sessions.agent import AgentSetup
from sessions.budgets import BudgetShort
from sessions.conversation import Content
from sessions.errors import BudgetExhausted, TurnFailed
from sessions.records import begin_turn, create_session, end_turn, take_session, turn_of_job
from sessions.runner import ClaudeSessions
from sessions.store import is_answered

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Asked(Generic[ModelT]):
    """What a turn came to, in which session; `usage` is the provider's count, None where the value was on record."""

    value: ModelT
    session_id: UUID
    turn_id: UUID
    token: int
    usage: dict[str, Any] | None

    async def end(self, conn: Connection) -> None:
        """Record that the turn was answered, and what it cost: the `also` of the outcome that keeps the value."""
        await end_turn(conn, self.turn_id)
        await budgets.settle(conn, self.turn_id, self.token)


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

    Jobs that share a session need a lane for it: each takes it from the one before. Raises TurnFailed where the value is not
    what `result` takes, the other errors of this room, and LeaseLost. Past a budget the run ends here, and the job waits for
    it (docs/budgets.md).
    """
    turn_id, session_id, epoch, cap_usd = await _begin_in_budget(job, database, session_id)
    try:
        end = await sessions.run_turn(
            session_id=session_id,
            epoch=epoch,
            turn_id=turn_id,
            prompt=prompt,
            agent=replace(agent, result_schema=result.model_json_schema()),
            account=RunAccount.of(job, turn_id, cap_usd=cap_usd),
        )
    except BudgetExhausted:  # the next run settles this one, and reserves more or waits for it
        raise Waiting(Wait(until=timedelta(0))) from None
    if end.deferred:
        raise TurnFailed(f"The agent called {end.deferred.name}, which waits for a decision; give it no such tool here")
    try:
        value = result.model_validate(end.structured)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise TurnFailed(f"The model's result is no {result.__name__}: {place}: {first['msg']}") from None
    return Asked(value, session_id, turn_id, job.token, end.usage)


Begun = tuple[UUID, UUID, int, Decimal | None]


async def _begin_in_budget(job: AnyJob, database: Database, session_id: UUID | None) -> Begun:
    """`_begin`. Raises Waiting where there is too little money."""
    try:
        return await budgets.begin(database, lambda: _begin(job, database, session_id))
    except BudgetShort as error:
        short = error

    async def note(conn: Connection) -> None:
        await budgets.wait_for_budget(conn, job, short)

    raise Waiting(Wait(budgets.event_of(job, short), until=short.balance.ends_at, also=note))


async def _begin(job: AnyJob, database: Database, session_id: UUID | None) -> Begun:
    """The job's turn, its session, the epoch under which that is this run's, and its cap. Raises LeaseLost, BudgetShort."""
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
        try:
            cap_usd = await budgets.reserve(conn, job, turn_id, budgets.scopes_of(job, turn_id))
        except BudgetShort:
            if not (began and await is_answered(conn, session_id, turn_id)):
                raise
            cap_usd = Decimal(0)  # no call is made; were there one, the proxy would refuse it
    return turn_id, session_id, epoch, cap_usd
