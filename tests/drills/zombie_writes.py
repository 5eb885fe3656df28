"""Every kind of write that a run, or the worker under it, can do: what a zombie tries."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from jobs_core import (
    AnyJob,
    Cancel,
    Complete,
    Connection,
    Fail,
    Jobs,
    LeaseLost,
    NewJob,
    Outcome,
    Retry,
    Snooze,
    Wait,
    execute,
    fence,
)
from jobs_core.children import CHILDREN
from jobs_core.claim import claim, start, start_many
from jobs_core.claim_limited import claim_limited
from jobs_core.leases import renew
from jobs_core.notes import Notebook, begin, write
from jobs_core.settle import Completed, end_many, settle
from jobs_core.suspects import claim_alone
from jobs_core.waits import emit
from sessions.account import RunAccount
from sessions.store import append_transcript
from sessions.tool_calls import HeldTurn, record_decision
from sessions.usage import OpenCall, open_call
from sessions.verdicts import Allow, ToolCall
from tests.drills.points_jobs import LIMITED, PLAIN, Part

_SOON = timedelta(0)


@dataclass(frozen=True, slots=True)
class Zombie:
    """A run that another has taken over, with what it had: its worker's id, its session under an epoch."""

    jobs: Jobs
    job: AnyJob
    worker_id: int
    session_id: UUID
    epoch: int


Write = Callable[[Zombie, Connection], Awaitable[object]]
"""Returns whether it was accepted; one that raises LeaseLost was not."""


async def attempt(zombie: Zombie, kind: str) -> bool:
    """Try one kind; whether it was accepted. Raises what no refusal is."""
    async with zombie.jobs.database.connection() as conn:
        try:
            return bool(await WRITES[kind](zombie, conn))
        except LeaseLost:
            return False


def _settling(outcome: Outcome) -> Write:
    async def try_it(zombie: Zombie, conn: Connection) -> bool:
        await settle(conn, zombie.job, outcome, zombie.jobs.table.job_type(zombie.job.job_type))
        return True

    return try_it


async def _complete(zombie: Zombie, conn: Connection) -> bool:
    async def also(conn: Connection) -> None:
        await _effect(zombie, conn)
        await emit(conn, f"late {zombie.job.id}")

    return await _settling(Complete({"late": True}, also=also))(zombie, conn) is True


async def _end_many(zombie: Zombie, conn: Connection) -> object:
    return await end_many(conn, [Completed(zombie.job, None, "standard")])


async def _end_many_counted(zombie: Zombie, conn: Connection) -> object:
    return await end_many(conn, [Completed(zombie.job, None, "none")])


async def _start(zombie: Zombie, conn: Connection) -> bool:
    await start(conn, zombie.job)
    return True


async def _start_many(zombie: Zombie, conn: Connection) -> object:
    return await start_many(conn, [zombie.job])


async def _step(zombie: Zombie, _: Connection) -> bool:
    await zombie.job.step("late", lambda: "done")
    return True


async def _spawn(zombie: Zombie, _: Connection) -> bool:
    await zombie.job.spawn("late", NewJob(PLAIN, Part(trial="late")))
    return True


async def _note(zombie: Zombie, conn: Connection) -> bool:
    notebook = Notebook(zombie.job.id, zombie.job.token, zombie.job.created_at)
    notebook.log("late", {})
    notebook.progress(0.5, "late")
    notebook.take(10, await begin(conn, [notebook]))
    await write(conn, [notebook])
    return not notebook.closed


async def _own_rows(zombie: Zombie, conn: Connection) -> bool:
    async with conn.transaction():
        await fence(conn, zombie.job)
        await _effect(zombie, conn)
    return True


async def _transcript(zombie: Zombie, conn: Connection) -> bool:
    async with conn.transaction():
        await append_transcript(conn, zombie.session_id, zombie.epoch, [{"type": "user", "uuid": None}])
    return True


async def _tool_call(zombie: Zombie, conn: Connection) -> bool:
    held = HeldTurn(zombie.session_id, zombie.epoch, uuid4())
    call = ToolCall(f"late {zombie.job.token}", "Bash", {})
    return await record_decision(conn, held, RunAccount.of(zombie.job, held.turn_id), call, Allow(by="late"))


async def _model_call(zombie: Zombie, conn: Connection) -> bool:
    account = RunAccount.of(zombie.job, uuid4())
    return await open_call(conn, account, zombie.session_id, zombie.epoch, OpenCall("late", "a model", 1, 1))


async def _renew(zombie: Zombie, conn: Connection) -> bool:
    return await renew(conn, zombie.worker_id)


async def _claim(zombie: Zombie, conn: Connection) -> object:
    return await claim(conn, worker_id=zombie.worker_id, queues=["default"], job_types=[PLAIN.name], slots=1)


async def _claim_limited(zombie: Zombie, conn: Connection) -> object:
    claims = {"worker_id": zombie.worker_id, "queues": ["default"], "job_types": [LIMITED.name]}
    return (await claim_limited(conn, **claims, slots=1)).jobs  # type: ignore[arg-type]  # as named


async def _claim_alone(zombie: Zombie, conn: Connection) -> object:
    return await claim_alone(conn, worker_id=zombie.worker_id, queues=["default"], job_types=[PLAIN.name])


async def _effect(zombie: Zombie, conn: Connection) -> None:
    values = {"id": zombie.job.id, "token": zombie.job.token}
    await execute(conn, "INSERT INTO effects (job_id, token) VALUES (%(id)s, %(token)s)", values)


WRITES: Mapping[str, Write] = {
    "start": _start,
    "start_many": _start_many,
    "complete": _complete,
    "end_many": _end_many,
    "end_many_counted": _end_many_counted,
    "fail": _settling(Fail("late")),
    "cancel": _settling(Cancel("late")),
    "retry": _settling(Retry("late", after=_SOON)),
    "snooze": _settling(Snooze(timedelta(hours=1))),
    "put_back": _settling(Snooze(_SOON, because="drained")),
    "wait_for_event": _settling(Wait("late")),
    "wait_for_time": _settling(Wait(until=timedelta(hours=1))),
    "wait_for_children": _settling(Wait(CHILDREN)),
    "step": _step,
    "spawn": _spawn,
    "note": _note,
    "own_rows": _own_rows,
    "transcript": _transcript,
    "tool_call": _tool_call,
    "model_call": _model_call,
    "renew": _renew,
    "claim": _claim,
    "claim_limited": _claim_limited,
    "claim_alone": _claim_alone,
}
