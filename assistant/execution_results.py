"""What came of turns that ran by a schedule (`agent_execution_results`), and what they cost.

    begin ─ the run's first transaction ─▶ running ─▶ end ─ the settling one: chat closed, person told ─▶ complete │ failed
                                              └─ its job ended without a word ─▶ end_left, by the next one, or who looks

Verbs take the connection first: the caller owns the transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from assistant import people
from assistant.errors import NoSuchUser
from assistant.notifications import Severity, notify
from jobs_core import Connection, execute, fetch, fetch_one, gate, statement
from jobs_core.look import find
from sessions import turn_of_job
from sessions.usage import costs_of_turns

Ended = Literal["complete", "failed", "cancelled"]
Status = Literal["running", "waiting", Ended]

MAX_RESULT_CHARS = 1_000_000
"""As of an answer in a chat."""
_RECENT = 20
_OUTCOMES: dict[Status, tuple[str, Severity]] = {
    "complete": ("is done", "info"),
    "failed": ("failed", "error"),
    "cancelled": ("was called off", "warning"),
}


@dataclass(frozen=True, slots=True)
class Result:
    """One of them. schedule_id: None: its job was created by hand. result_content: the answer, or why there is none.

    status: `waiting`: for somebody to approve a call, or for money. cost_usd: so far; None: not known.
    """

    id: int
    schedule_id: int | None
    schedule_name: str | None
    agent_name: str
    user_id: str | None
    session_id: str
    job_id: int
    turn_id: UUID | None
    status: Status
    result_content: str | None
    due_at: datetime
    started_at: datetime
    ended_at: datetime | None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a turn by a schedule has cost on average. of: the schedule itself, or, as it has not run, its agent's others."""

    usd: float
    turns: int
    of: Literal["schedule", "agent"]


async def begin_result(
    conn: Connection,
    *,
    schedule: tuple[int, str] | None,
    agent: str,
    user_id: str,
    chat: str,
    job_id: int,
    due_at: datetime,
) -> None:
    """Begin a job's result, once; what earlier ticks of its schedule left is ended first."""
    schedule_id, name = schedule or (None, None)
    if schedule_id is not None:
        await end_left(conn, schedule_id)
    values = {
        "schedule_id": schedule_id,
        "schedule_name": name,
        "agent_name": agent,
        "user_id": user_id,
        "session_id": chat,
        "job_id": job_id,
        "due_at": due_at,
    }
    await execute(conn, statement("assistant", "execution_result/begin"), values)


async def end_result(conn: Connection, job_id: int, status: Ended, text: str) -> None:
    """End a job's result, close its chat and tell its person, once: nothing happens where it ended before."""
    turn = await turn_of_job(conn, job_id)
    text = gate.clean_text(text, max_chars=MAX_RESULT_CHARS)
    values = {"job_id": job_id, "turn_id": turn.id if turn else None, "status": status, "result_content": text}
    row = await fetch_one(conn, statement("assistant", "execution_result/end"), values)
    if row is None:
        return
    result = Result(**row)
    await execute(conn, statement("assistant", "chat/set_active"), {"session_id": result.session_id, "active": False})
    await _tell(conn, result, text)


async def end_left(conn: Connection, schedule_id: int | None = None) -> None:
    """End what its job left when it ended without a word: it was cancelled, given up, or lost its workers too often."""
    for row in await fetch(conn, statement("assistant", "execution_result/left"), {"schedule_id": schedule_id}):
        job = await find(conn, row["job_id"])
        status: Ended = "cancelled" if job is None or job.state != "failed" else "failed"
        why = (job.error if job else None) or "its job ended before there was an answer"
        await end_result(conn, row["job_id"], status, why)


async def list_results(
    conn: Connection,
    *,
    schedule_id: int | None = None,
    agent: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Result]:
    """The newest results of a schedule, of an agent, or of all, newest first; page on with the last one's id as `before_id`."""
    async with conn.transaction():
        await end_left(conn, schedule_id)
    return await _listed(conn, schedule_id=schedule_id, agent_name=agent, before_id=before_id, limit=limit)


async def expected_cost(conn: Connection, *, schedule_id: int | None, agent: str) -> Cost | None:
    """What one more turn may cost, by the last twenty of the schedule, else of the agent's; None: nothing is known."""
    own = await _listed(conn, limit=_RECENT, schedule_id=schedule_id) if schedule_id is not None else []
    return _mean(own, "schedule") or _mean(await _listed(conn, limit=_RECENT, agent_name=agent), "agent")


def _mean(results: Sequence[Result], of: Literal["schedule", "agent"]) -> Cost | None:
    costs = [result.cost_usd for result in results if result.cost_usd is not None and result.ended_at is not None]
    return Cost(sum(costs) / len(costs), len(costs), of) if costs else None


async def _listed(
    conn: Connection,
    *,
    limit: int,
    schedule_id: int | None = None,
    agent_name: str | None = None,
    before_id: int | None = None,
) -> list[Result]:
    values = {"schedule_id": schedule_id, "agent_name": agent_name, "before_id": before_id, "limit": limit}
    rows = await fetch(conn, statement("assistant", "execution_result/list"), values, prepare=False)
    costs = await costs_of_turns(conn, [row["turn_id"] for row in rows if row["turn_id"]])
    return [Result(**row, cost_usd=costs.get(row["turn_id"])) for row in rows]


async def _tell(conn: Connection, result: Result, text: str) -> None:
    """The schedule's person, or the owner, where that one has no say here any more."""
    name = f"Schedule {result.schedule_name}" if result.schedule_name else f"Scheduled turn of {result.agent_name}"
    said, severity = _OUTCOMES[result.status]
    await notify(
        conn,
        user_id=await owner_or_none(conn, result.user_id),
        title=f"{name} {said}",
        body=text,
        category="schedule",
        severity=severity,
        metadata={"schedule_id": result.schedule_id, "session_id": result.session_id, "job_id": result.job_id},
        turn_id=result.turn_id,
    )


async def owner_or_none(conn: Connection, user_id: str | None) -> str | None:
    """The id itself, if it is an owner's; None is whoever is told what is nobody's by name."""
    try:
        user = await people.get(conn, user_id) if user_id else None
    except NoSuchUser:
        return None
    return user.id if user and user.is_owner else None
