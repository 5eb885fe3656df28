"""Steps: what a job's runs have come to so far, so that a later run of it need not do it again.

    handler ─▶ step("charge", fn) ─ recorded? ─ yes ─▶ its output, fn is not called
                                        └─ no ──▶ fn ─▶ recorded, fenced ─▶ its output
    handler ─▶ wait_for("paid") ─ recorded or emitted? ─ yes ─▶ its payload
                                        └─ no ──▶ the run ends as Wait ─ emit ─▶ the handler starts at its top

A handler that uses steps must come by the same names in each run. Between two steps it may do what it likes twice.
"""

import asyncio
import inspect
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from jobs_core import db, gate
from jobs_core.away import repeat_while_away
from jobs_core.children import CHILDREN, has_children, record_of
from jobs_core.errors import InvalidInput, StepUnknown, WaitTimedOut
from jobs_core.job import AnyJob, fence
from jobs_core.new_job import NewJob
from jobs_core.outcomes import Snooze, Wait
from jobs_core.statements import statement
from jobs_core.waits import emitted, event_name

if TYPE_CHECKING:
    from jobs_core.create import Jobs

T = TypeVar("T")
Policy = Literal["again", "ask", "fail"]
"""What to do about a step of which nobody knows whether it was done: its run was lost while it was under way."""
_MAX_NAME_CHARS = 100
_CANCELLED_WRITE_S = 1.0
"""How long a run that is cancelled may go on writing what a step has come to."""
_LOOK_AGAIN = timedelta(minutes=10)
"""A worker of an older version ends a child and tells nobody."""


class Waiting(BaseException):
    """Ends a run that waits, or is put back. A handler lets it pass: `except Exception` does."""

    def __init__(self, outcome: Wait | Snooze) -> None:
        super().__init__("the run waits")
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Child:
    """How a child ended: `complete`, `failed` or `cancelled` (`unknown`: it left no word), with its result or its error."""

    id: int
    state: str
    result: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Record:
    state: str
    output: Any


class Steps:
    """The steps of one run; `Job` has the verbs. Made with the first of them, so that a job without steps pays nothing."""

    def __init__(self, jobs: "Jobs", job: AnyJob) -> None:
        self._jobs = jobs
        self._job = job
        self._records: dict[str, _Record] | None = None
        self._used = set[str]()
        self._sleeps = 0
        self._writing = asyncio.Lock()
        """One write after the other: who watches the job's steps goes by the order of their numbers (0007_notes.sql)."""

    async def step(self, name: str, fn: Callable[[], Any], *, on_unknown: Policy) -> Any:
        """The step's recorded output, or what `fn` returns, recorded; JSON either way. Raises what `fn` raises."""
        if on_unknown == "ask":
            event_name(f"step:{self._job.id}:{name}:99")
        name = f"step:{name}"
        record = await self._record(name)
        if record and record.state == "done":
            return record.output
        asked = (record.output or 0) if record else 0  # how often somebody has said: again
        if record and on_unknown != "again" and record.state != "raised":
            known = await self._ask(name, on_unknown, asked)
            if known is not None:
                return await self._write(name, "done", known[0])
            asked += 1
        if on_unknown != "again":
            await self._write(name, "started", asked)
        try:
            output = fn()
            output = await output if inspect.isawaitable(output) else output
        except (Exception, Waiting, BaseExceptionGroup):  # a group: of tasks, one of which waits
            if on_unknown != "again":
                await self._write(name, "raised", asked)  # known: it was not done
            raise
        return await self._write(name, "done", output)

    async def sleep(self, until: datetime | timedelta) -> None:
        """Return once it is that time; the run ends meanwhile."""
        self._sleeps += 1
        name = f"sleep:{self._sleeps}"
        if not await self._is_over(name):
            raise Waiting(Wait(None, until, also=partial(self._write_waiting, name)))

    async def wait_for(self, event: str, timeout: datetime | timedelta | None) -> Any:
        """The event's payload. Raises WaitTimedOut."""
        name = f"wait:{event_name(event)}"
        record = await self._record(name)
        if record and record.state == "done":
            return _payload(event, record.output)
        known = await self._look(partial(emitted, event=event))
        if known is None and record and record.state == "waiting" and self._past(record):
            return _payload(event, await self._write(name, "done", {"timed_out": True}))
        if known is not None:
            return _payload(event, await self._write(name, "done", {"payload": known[0]}))
        until = datetime.fromisoformat(record.output["until"]) if record and record.output["until"] else timeout
        raise Waiting(Wait(event, until, also=partial(self._write_waiting, name)))

    async def spawn(self, name: str, child: NewJob) -> int:
        """The id of the child that this step created, in this run or an earlier one; it is for the same user, task, project."""
        name = f"spawn:{name}"
        record = await self._record(name)
        if record:
            return int(record.output["job_id"])
        child = replace(
            child,
            user_id=child.user_id or self._job.user_id,
            task_id=child.task_id or self._job.task_id,
            project_id=child.project_id or self._job.project_id,
        )
        unsure = False

        async def once(conn: db.Connection) -> int:
            nonlocal unsure
            if unsure:  # the commit before this got no answer
                self._records = await _load(conn, self._job.id)
                if made := self._records.get(name):
                    return int(made.output["job_id"])
            unsure = True
            return await self._spawn(conn, name, child)

        async with self._writing:
            return await repeat_while_away(self._jobs.database, once)

    async def wait_for_children(self) -> Sequence[Child]:
        """How each child that this job has spawned ended, in the order of their ids; the run ends until the last has."""
        records = await self._loaded()
        ids = sorted(int(record.output["job_id"]) for name, record in records.items() if name.startswith("spawn:"))
        missing = [child_id for child_id in ids if record_of(child_id) not in records]
        if missing:
            if await self._look(partial(has_children, parent_id=self._job.id)):
                raise Waiting(Wait(CHILDREN, _LOOK_AGAIN))
            records = self._records = await self._look(partial(_load, job_id=self._job.id))
        ends = (records.get(record_of(child_id)) for child_id in ids)
        return [Child(**end.output) if end else Child(id_, "unknown") for id_, end in zip(ids, ends, strict=True)]

    async def _spawn(self, conn: db.Connection, name: str, child: NewJob) -> int:
        lane = self._jobs.lane_of(child)
        if lane and lane == self._job.lane:
            raise InvalidInput(f"spawn: lane {lane} is its parent's, which would wait before it for ever", field="lane")
        async with conn.transaction():
            if lane:  # before our own row: lanes are locked first
                await db.execute(conn, statement("jobs_core", "lane/lock"), {"lanes": [lane]})
            await fence(conn, self._job)
            created = await self._jobs.create_many([child], conn=conn)
            if created.met:
                raise InvalidInput(f"spawn: job {created.id} holds its key and is nobody's child", field="unique_key")
            adopted = {"id": created.id, "parent_id": self._job.id}
            await db.execute(conn, statement("jobs_core", "job/adopt"), adopted)
            await self._put(conn, name, "done", {"job_id": created.id})
        created.wake()
        return int(created.id)

    async def _ask(self, name: str, policy: Policy, asked: int) -> tuple[Any] | None:
        """The output that somebody gave for an unknown step, in a tuple; None: it is to be done again."""
        if policy == "fail":
            raise StepUnknown(
                f"job {self._job.id}: a run was lost in the middle of {name}, and nobody knows whether that was done"
            )
        event = name.replace(":", f":{self._job.id}:", 1) + (f":{asked + 1}" if asked else "")  # an event is told once
        answer = await self._look(partial(emitted, event=event))
        if answer is None:
            raise Waiting(Wait(event))
        said = answer[0]
        if isinstance(said, dict) and "output" in said:
            return (said["output"],)
        if said == {"again": True}:
            return None
        raise StepUnknown(f"job {self._job.id}: the answer {event} says neither output nor again")

    async def _is_over(self, name: str) -> bool:
        record = await self._record(name)
        return record is not None and (record.state == "done" or self._past(record))

    def _past(self, record: _Record) -> bool:
        """Whether its time was over when this run was claimed, by Postgres' clock."""
        until = record.output["until"]
        return until is not None and datetime.fromisoformat(until) <= self._job.claimed_at

    async def _record(self, name: str) -> _Record | None:
        gate.check_text(name, field="name", max_chars=_MAX_NAME_CHARS + gate.MAX_NAME_CHARS)
        if name in self._used:
            raise InvalidInput(f"step {name!r}: a step of this run has that name; give each one its own", field="name")
        self._used.add(name)
        return (await self._loaded()).get(name)

    async def _loaded(self) -> dict[str, _Record]:
        if self._records is None:
            records = await self._look(partial(_load, job_id=self._job.id))
            if self._records is None:  # or another task of this run was faster, and has written since
                self._records = records
        return self._records

    async def _look(self, verb: Callable[[db.Connection], Awaitable[T]]) -> T:
        """What `verb` finds: an outage is no failure of the run."""
        return await repeat_while_away(self._jobs.database, verb)

    async def _write(self, name: str, state: str, output: Any) -> Any:
        """Record it, fenced. Returns the output as JSON has it, so that each run gets the same."""

        async def once(conn: db.Connection) -> Any:
            async with conn.transaction():
                await fence(conn, self._job)
                return await self._put(conn, name, state, output)

        async with self._writing:
            writing = asyncio.ensure_future(repeat_while_away(self._jobs.database, once))
            try:
                return await asyncio.shield(writing)  # what was done outside must not be forgotten
            except asyncio.CancelledError:
                await asyncio.wait({writing}, timeout=_CANCELLED_WRITE_S)
                writing.cancel()
                raise
            finally:
                self._job.moved_s = time.monotonic()

    async def _put(self, conn: db.Connection, name: str, state: str, output: Any) -> Any:
        text = gate.to_json(output, field=f"step {name}", max_bytes=gate.MAX_RESULT_BYTES)
        values = {"job_id": self._job.id, "name": name, "state": state, "output": text, "token": self._job.token}
        await db.execute(conn, statement("jobs_core", "step/write"), values)
        plain = json.loads(text)
        if self._records is not None:
            self._records[name] = _Record(state, plain)
        return plain

    async def _write_waiting(self, name: str, conn: db.Connection) -> None:
        values = {"job_id": self._job.id, "name": name, "token": self._job.token}
        await db.execute(conn, statement("jobs_core", "step/write_waiting"), values)


def _payload(event: str, output: Any) -> Any:
    if "timed_out" in output:
        raise WaitTimedOut(f"event {event!r} was not emitted in time")
    return output["payload"]


async def _load(conn: db.Connection, job_id: int) -> dict[str, _Record]:
    rows = await db.fetch(conn, statement("jobs_core", "step/of_job"), {"job_id": job_id})
    return {row["name"]: _Record(row["state"], row["output"]) for row in rows}
