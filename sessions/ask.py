"""One turn of an agent that comes to a value, for a handler of one's own.

    begin (the job's turn, or a new one) ─▶ run_turn, with the model's schema ─▶ the value ─▶ Complete(value, also=asked.end)

It may be called again after any crash: a job keeps the turn that it began, and an answer that is on record is not paid again.
"""

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from pydantic import BaseModel, ValidationError

from jobs_core import AnyJob, Connection, Database, fence
from sessions.account import RunAccount
from sessions.agent import AgentSetup
from sessions.conversation import Content
from sessions.errors import TurnFailed
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
    what `result` takes, the other errors of this room, and LeaseLost.
    """
    turn_id, session_id, epoch = await _begin(job, database, session_id)
    end = await sessions.run_turn(
        session_id=session_id,
        epoch=epoch,
        turn_id=turn_id,
        prompt=prompt,
        agent=replace(agent, result_schema=result.model_json_schema()),
        account=RunAccount.of(job, turn_id),
    )
    if end.deferred:
        raise TurnFailed(f"The agent called {end.deferred.name}, which waits for a decision; give it no such tool here")
    try:
        value = result.model_validate(end.structured)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise TurnFailed(f"The model's result is no {result.__name__}: {place}: {first['msg']}") from None
    return Asked(value, session_id, turn_id, end.usage)


async def _begin(job: AnyJob, database: Database, session_id: UUID | None) -> tuple[UUID, UUID, int]:
    """The job's turn, its session, and the epoch under which that is this run's. Raises LeaseLost."""
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
        return turn_id, session_id, await take_session(conn, session_id)
