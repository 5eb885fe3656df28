"""Sessions and turns as rows. Every verb takes the connection first: the caller owns the transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jobs_core import Connection, LeaseLost, execute, fetch, fetch_one, statement
from sessions.errors import TurnFailed


@dataclass(frozen=True, slots=True)
class Turn:
    """One prompt and its answer. `id` is the prompt's uuid; `ended_at` None: it has no recorded answer."""

    id: UUID
    session_id: UUID
    job_id: int
    started_at: datetime
    ended_at: datetime | None


async def create_session(conn: Connection, session_id: UUID) -> None:
    """Make a session; its id is the Claude session's too and never used before."""
    await execute(conn, statement("sessions", "session/create"), {"id": session_id})


async def take_session(conn: Connection, session_id: UUID) -> int:
    """Make the session this run's own and return its new epoch; whoever held it can write nothing once this commits.

    Raises TurnFailed where there is no such session.
    """
    row = await fetch_one(conn, statement("sessions", "session/take"), {"id": session_id})
    if row is None:
        raise TurnFailed(f"There is no session {session_id}: begin a new one")
    return int(row["epoch"])


async def fence_session(conn: Connection, session_id: UUID, epoch: int) -> None:
    """Begin a transaction that writes for the holder of a session: nobody can take it over until that ends.

    Raises LeaseLost where somebody has: roll back, stop the run, write nothing.
    """
    if await fetch_one(conn, statement("sessions", "session/fence"), {"id": session_id, "epoch": epoch}) is None:
        raise taken_by_another(session_id, epoch)


def taken_by_another(session_id: UUID, epoch: int) -> LeaseLost:
    """What a run is told that held a session under this epoch: stop, write nothing."""
    return LeaseLost(f"session {session_id}: epoch {epoch} is no longer the session's; another run has taken it")


async def begin_turn(conn: Connection, *, turn_id: UUID, session_id: UUID, job_id: int) -> None:
    """Record a turn before it is run; `turn_id` is drawn once a prompt and never used for another."""
    parameters = {"id": turn_id, "session_id": session_id, "job_id": job_id}
    await execute(conn, statement("sessions", "turn/begin"), parameters)


async def end_turn(conn: Connection, turn_id: UUID) -> None:
    """Record that the turn was answered, in the transaction that keeps the answer.

    Only for turns that were: from then on a transcript without this turn counts as lost.
    """
    await execute(conn, statement("sessions", "turn/end"), {"id": turn_id})


async def turn_of_job(conn: Connection, job_id: int) -> Turn | None:
    """The newest turn that this job began, None where it began none."""
    row = await fetch_one(conn, statement("sessions", "turn/of_job"), {"job_id": job_id})
    return Turn(**row) if row else None


async def jobs_of_turns(conn: Connection, turn_ids: Sequence[UUID]) -> list[int]:
    """The jobs that began these turns."""
    rows = await fetch(conn, statement("sessions", "turn/jobs"), {"ids": list(turn_ids)})
    return [row["job_id"] for row in rows]


async def has_transcript(conn: Connection, session_id: UUID, epoch: int) -> bool:
    """Whether anything of a session that is held was ever stored: from then on an empty transcript is a lost one.

    Raises LeaseLost where another run has taken the session: start no agent.
    """
    row = await fetch_one(conn, statement("sessions", "session/look"), {"id": session_id, "epoch": epoch})
    if row is None:
        raise taken_by_another(session_id, epoch)
    return bool(row["has_transcript"])


async def last_answered_turn(conn: Connection, session_id: UUID) -> UUID | None:
    """The session's newest answered turn, None where it has none."""
    row = await fetch_one(conn, statement("sessions", "turn/last_answered"), {"session_id": session_id})
    return row["id"] if row else None
