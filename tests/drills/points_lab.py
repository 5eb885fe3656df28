"""A lab of the points drill: a database of its own, two workers under a supervisor (and a producer), one trial after another.

create ─▶ held at the point ─▶ kill │ freeze … another has taken over … let go │ cut ─▶ all jobs end ─▶ judge
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from jobs_core import Connection, Jobs, NewJob, execute, fetch, fetch_one
from tests.drills import points_checks as checks
from tests.drills.points_jobs import Files, event_of
from tests.drills.points_processes import Processes, send
from tests.drills.points_way import By, Point, allowed, parts, roles
from tests.drills.points_worker import PROCESSES, Options
from tests.drills.waiting import until
from tests.support.holding_proxy import HeldLine, HoldingProxy
from tests.support.processes import lives, ports_of

_WATCH_EVERY_S = 1.0
_JUDGE_EVERY_S = 0.1
"""Between two looks at all that must hold, which cost a few milliseconds."""

_READY = "SELECT pid FROM jobs.workers WHERE dead_at IS NULL AND expires_at > clock_timestamp() AND slots > 1"
_HOLDER = "SELECT w.pid FROM jobs.jobs AS j JOIN jobs.workers AS w ON w.id = j.worker_id WHERE j.id = %(id)s"
_EXPIRE = "UPDATE jobs.workers SET expires_at = clock_timestamp() WHERE pid = %(pid)s AND dead_at IS NULL"
_STRANGERS = "SELECT FROM jobs.workers WHERE id = ANY(%(ids)s) AND pid <> ALL(%(pids)s)"
_TAKEN_OVER = """
SELECT NOT EXISTS (SELECT FROM jobs.workers WHERE pid = %(pid)s AND dead_at IS NULL)
   AND NOT EXISTS (SELECT FROM jobs.jobs AS j LEFT JOIN jobs.workers AS w ON w.id = j.worker_id
                   WHERE j.input ->> 'role' = %(role)s AND j.state <> 'waiting'
                     AND (w.id IS NULL OR w.dead_at IS NOT NULL OR j.rescued AND NOT %(again)s)) AS over
"""
"""Nobody holds the jobs of that role but who lives, and who has rescued one stands at the gate."""


class Broken(Exception):
    """Something that must hold at every moment did not; the text says what."""


class Lab:
    """`trial` is one strike and what came of it. The proxy is what all the processes connect through."""

    def __init__(
        self,
        proxy: HoldingProxy,
        jobs: Jobs,
        conn: Connection,
        processes: Processes,
        options: Options,
        *,
        within_s: float,
    ) -> None:
        self._proxy = proxy
        self._jobs = jobs
        self._conn = conn
        self._processes = processes
        self._folder = Path(options.folder)
        self._lease_s = options.lease_s
        self._within_s = within_s
        self._watches = False
        self._look_at_s = 0.0
        self._log_at = 0
        self._struck = list[int]()

    async def trial(self, name: str, point: Point, fault: By) -> tuple[float, list[str]]:
        """Strike once; returns the seconds from the fault to the end, and what was broken. Raises TimeoutError, Broken."""
        self._watches = False
        await self._until(self._workers_are_ready, "both workers are ready")
        self._watches, self._log_at, self._struck = True, self._processes.logged_bytes(), []
        files = Files(self._folder, name)
        try:
            pid, line = await self._at_the_point(point, files)
            struck_at = time.monotonic()
            self._struck += [pid] if fault != "cut" else []  # that costs nobody its lease
            await self._strike(fault, pid, line, point, files)
        finally:
            self._proxy.keep()
            if point.scene.opens:
                files.tell("open")
        subjects = int(allowed(point, fault)[0].state != "")
        await self._until_ended(point, name, len(roles(point.scene)) + subjects)
        took_s = round(time.monotonic() - struck_at, 2)
        rows = await checks.ended(self._conn, name)
        left = [f"an agent is left: {one}" for one in self._processes.agents()]
        return took_s, [*checks.spoiled(rows, files, point, fault), *left]

    async def was_starved(self) -> bool:
        """Whether a process lost its lease since the trial began that was not killed or frozen: so busy was the machine."""
        ids = self._processes.lost_leases(self._log_at)
        return bool(await fetch(self._conn, _STRANGERS, {"ids": ids, "pids": self._struck}))

    async def tidy(self, point: Point) -> None:
        """After a trial that did not get to its point: have its jobs end. Raises TimeoutError, Broken."""
        self._watches = False
        await self._until_ended(point)

    async def _at_the_point(self, point: Point, files: Files) -> tuple[int, HeldLine | None]:
        """Send the trial's jobs on their way; returns who is at the point, with the line that is held there."""
        scene = point.scene
        if scene.earlier:
            await self._jobs.create_many([NewJob(*one) for one in parts(scene.earlier, files.trial)])
            await self._until(lambda: self._all_wait(len(scene.earlier)), "those before it wait")
        if scene.prelude or not point.stop:
            return await self._from_the_handler(point, files)
        self._proxy.arm(point.stop)
        return await self._reached(point, await self._create(point, files))

    async def _from_the_handler(self, point: Point, files: Files) -> tuple[int, HeldLine | None]:
        """The handler stands, which is the point itself, or from where it is reached."""
        subject = await self._create(point, files)
        await self._until(lambda: _as_told(files, "stands"), "the handler stands")
        holder = await self._holder(subject)
        if not holder:
            raise TimeoutError("its holder lost it before it was struck")
        if point.stop is None:
            return holder, None
        self._proxy.arm(point.stop)
        await self._prelude(point, holder, subject)
        return await self._reached(point, subject)

    async def _create(self, point: Point, files: Files) -> int:
        """The subject's id, or 0 where a producer creates it."""
        scene = point.scene
        if scene.by_producer:
            self._processes.produce(files.trial)
            return 0
        due = timedelta(seconds=scene.due_s) if scene.due_s else None
        jobs = [NewJob(*one, scheduled_for=due) for one in parts({**scene.subject, **scene.beside}, files.trial)]
        return (await self._jobs.create_many(jobs)).ids[0]

    async def _prelude(self, point: Point, holder: int, subject: int) -> None:
        match point.scene.prelude:
            case "cancel":
                await self._jobs.cancel(subject)
            case "drain":
                send(signal.SIGTERM, holder)
            case "kill":
                self._struck.append(holder)
                await self._kill(holder)

    async def _reached(self, point: Point, subject: int) -> tuple[int, HeldLine]:
        until_s = time.monotonic() + self._within_s
        while time.monotonic() < until_s:
            await self._until(self._proxy.holds, "somebody comes to the point")
            line = await self._proxy.take()
            pid = self._processes.owner(line.port)
            if pid and (not point.holders or pid == await self._holder(subject)):
                self._proxy.keep(line)
                return pid, line
            line.go()
        raise TimeoutError("only others came to the point")

    async def _strike(self, fault: By, pid: int, line: HeldLine | None, point: Point, files: Files) -> None:
        if fault == "freeze":
            await self._freeze(pid, line, point, files)
        elif fault == "kill":
            await self._kill(pid, line)
            if point.scene.by_producer:
                await self._until(self._nothing_is_open, "the producer's transaction has ended")
        else:
            if line:
                line.drop(reset=True)
            self._proxy.cut(ports_of(pid))

    async def _kill(self, pid: int, line: HeldLine | None = None) -> None:
        """Its lease runs out in its row, which is quicker than to wait for that."""
        send(signal.SIGKILL, pid)
        if line:
            line.drop()
        await execute(self._conn, _EXPIRE, {"pid": pid})

    async def _freeze(self, pid: int, line: HeldLine | None, point: Point, files: Files) -> None:
        """Past its lease, until another has taken over; what it was about to say arrives then, and it goes on."""
        send(signal.SIGSTOP, pid)
        try:
            if point.scene.by_producer:
                await asyncio.sleep(self._lease_s)
            else:
                await self._until(lambda: self._is_taken_over(pid, point, files), "another has taken over")
            if line:
                line.go()
                await self._until(lambda: _as_set(line.arrived), "an answer to what was held")
        finally:
            send(signal.SIGCONT, pid)

    async def _until_ended(self, point: Point, trial: str = "", n: int = 0) -> None:
        """Return when no job lives and `n` of the trial have ended; does what must be done while the subject waits."""

        async def over() -> bool:
            if broken := await checks.broken_now(self._conn):
                raise Broken("; ".join(broken))
            living = await fetch(self._conn, "SELECT id, input, state FROM jobs.jobs")
            for job in living:
                if job["state"] == "waiting" and job["input"]["role"] == "subject":
                    await self._then(point, job["id"], job["input"]["trial"])
            return not living and len(await checks.ended(self._conn, trial)) >= n

        await self._until(over, "all jobs have ended", every_s=_JUDGE_EVERY_S)

    async def _then(self, point: Point, subject: int, trial: str) -> None:
        if point.scene.then == "emit":
            await self._jobs.emit(event_of(trial))
        elif point.scene.then == "answer":
            await self._jobs.emit(f"step:{subject}:pay", {"again": True})

    async def _workers_are_ready(self) -> bool:
        rows = await fetch(self._conn, _READY)
        return len(rows) == PROCESSES and all(lives(row["pid"]) for row in rows)

    async def _is_taken_over(self, pid: int, point: Point, files: Files) -> bool:
        values = {"pid": pid, "role": point.scene.struck, "again": files.told("again")}
        row = await fetch_one(self._conn, _TAKEN_OVER, values)
        return row is not None and bool(row["over"])

    async def _all_wait(self, n: int) -> bool:
        return len(await fetch(self._conn, "SELECT FROM jobs.jobs WHERE state = 'waiting'")) == n

    async def _nothing_is_open(self) -> bool:
        producers = "datname = current_database() AND application_name = 'drill producer'"
        return not await fetch(self._conn, f"SELECT FROM pg_stat_activity WHERE {producers}")

    async def _holder(self, job_id: int) -> int:
        row = await fetch_one(self._conn, _HOLDER, {"id": job_id})
        return int(row["pid"]) if row else 0

    async def _until(self, condition: Callable[[], Awaitable[object]], what: str, every_s: float = 0.02) -> None:
        """Raises TimeoutError, early where the machine is too busy for the trial to mean anything."""

        async def holds() -> object:
            if self._watches and time.monotonic() > self._look_at_s:
                self._look_at_s = time.monotonic() + _WATCH_EVERY_S
                if await self.was_starved():
                    raise TimeoutError
            return await condition()

        await until(holds, what, self._within_s, every_s)


async def _as_told(files: Files, name: str) -> bool:
    return files.told(name)


async def _as_set(event: asyncio.Event) -> bool:
    return event.is_set()
