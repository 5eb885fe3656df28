"""What one version of a program on the queue runs in the drills of deploys: its handlers, and a producer.

It stands in a folder of its own, and is run by the code that is under test, today's or that of an earlier commit; so it names
only what both have. DEPLOY_VERSION says which version it is: `released` (before there were limits and steps), `old` or `new`.
All that it does is told, a line of JSON each, in the file DEPLOY_LOG.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from jobs_core import Complete, Connection, Database, HandlerTable, Jobs, JobType, execute

VERSION = os.environ.get("DEPLOY_VERSION", "new")
AT_ONCE = 3
"""Runs of limited jobs."""
_LANES = 10
_PRODUCERS = 4


class Work(BaseModel):
    """`key` is what its producer knows a job by; `work_s` how long its run takes."""

    key: str
    work_s: float = 0.0
    lane: str = ""


class Noted(Work):
    """What the new version makes of it: a field more, with a default."""

    note: str = "none"


Kind = JobType[Any]
BRIEF = JobType("deploy_brief", Work, brief=True)
PLAIN = JobType("deploy_plain", Work)
LANED = JobType("deploy_laned", Work, lane=lambda work: work.lane)
AGENT = JobType("deploy_agent", Work)
ORDER: Kind = JobType("deploy_order", Noted if VERSION == "new" else Work)
STEPS = JobType("deploy_steps", Work)
NEW = JobType("deploy_new", Work)
SLOW = JobType("deploy_slow", Work, queue="slow")
WITH_EFFECT = (PLAIN.name, LANED.name, AGENT.name, ORDER.name)


def _limited() -> Kind:
    """The same type in all versions; that it is limited, the released one does not know."""
    if VERSION == "released":
        return JobType("deploy_limited", Work)
    from jobs_core import Limit

    return JobType("deploy_limited", Work, limits=lambda _: [Limit("deploy", slots=AT_ONCE)])


LIMITED = _limited()
_SINCE = {"released": [BRIEF, PLAIN, LANED, AGENT, ORDER], "old": [LIMITED, STEPS], "new": [NEW]}


def mix() -> list[Kind]:
    """The types whose jobs a producer of this version creates."""
    known = list(_SINCE)[: list(_SINCE).index(VERSION) + 1]
    return [job_type for version in known for job_type in _SINCE[version]]


def tell(what: str, **facts: object) -> None:
    """A line into the log, whole, whoever else writes."""
    line = json.dumps({"at": time.time(), "what": what, "version": VERSION, **facts}) + "\n"
    log = os.open(os.environ["DEPLOY_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, line.encode())
    os.close(log)


def register(table: HandlerTable) -> None:
    """The handlers of this version, and what a mutant of the code under test does otherwise (DEPLOY_MUTANT)."""
    for job_type in {LIMITED, SLOW, *mix()}:
        table.register_handler(job_type, _told(job_type))
    if mutant := os.environ.get("DEPLOY_MUTANT"):
        from tests.drills.deploy_mutants import MUTANTS

        MUTANTS[mutant]()


def _told(job_type: Kind) -> Any:
    work = {AGENT: _agent, STEPS: _steps, SLOW: _slow, LIMITED: _short}.get(job_type, _plain)

    async def handle(job: Any) -> Complete:
        facts = {"job": job.id, "token": job.token, "type": job_type.name, "lane": job.lane}
        tell("start", **facts)
        try:
            await work(job)
        finally:
            tell("end", **facts)
        return Complete(also=_effect(job) if job_type.name in WITH_EFFECT else None)

    return handle


def _effect(job: Any) -> Any:
    async def write(conn: Connection) -> None:
        sql = "INSERT INTO drill_effects (job_id, token) VALUES (%(id)s, %(token)s)"
        await execute(conn, sql, {"id": job.id, "token": job.token})

    return write


async def _plain(job: Any) -> None:
    await asyncio.sleep(job.input.work_s)


async def _short(job: Any) -> None:
    """A quarter of it, so that more than the limit allows want to run at times, and not for ever."""
    await asyncio.sleep(job.input.work_s / 4)


async def _agent(job: Any) -> None:
    """A process that works, and ends with the run."""
    agent = await asyncio.create_subprocess_exec("sleep", f"{job.input.work_s:.3f}")
    try:
        await agent.wait()
    finally:
        if agent.returncode is None:
            agent.kill()
            await agent.wait()


async def _steps(job: Any) -> None:
    await job.step("once", lambda: tell("once", job=job.id))
    await job.sleep(timedelta(seconds=job.input.work_s))


async def _slow(_: Any) -> None:
    await asyncio.sleep(600)


async def produce(dsn: str, total: int, per_s: float, longest_s: float) -> None:
    """Create `total` jobs of the mix, `per_s` a second, or until SIGTERM; each is told with how long its create took."""
    table = HandlerTable()
    table.declare_all(mix())
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    began = time.monotonic()

    def numbers() -> Iterator[tuple[int, float]]:
        for number in range(total):
            yield number, began + number / per_s

    async def some(paced: Iterator[tuple[int, float]]) -> None:
        for number, at in paced:
            await asyncio.sleep(max(at - time.monotonic(), 0.0))
            if stopped.is_set():
                return
            await _create(jobs, number, longest_s)

    async with Database(dsn, name="drill producer") as database, Jobs(database, table) as jobs:
        paced = numbers()
        async with asyncio.TaskGroup() as group:
            for _ in range(_PRODUCERS):
                group.create_task(some(paced))


async def _create(jobs: Jobs, number: int, longest_s: float) -> None:
    job_type = mix()[number % len(mix())]
    work_s = 0.0 if job_type is BRIEF else random.uniform(longest_s / 10, longest_s)
    key = f"{os.getpid()}:{number}"
    work = job_type.Input(key=key, work_s=work_s, lane=f"lane {number // len(mix()) % _LANES}")
    began = time.monotonic()
    try:
        new = await jobs.create(job_type, work, idempotency_key=key)
    except Exception as error:  # noqa: BLE001 - none is promised, whatever it is
        tell("refused", error=f"{type(error).__name__}: {error}")
    else:
        tell("created", job=new.id, took_s=time.monotonic() - began)


if __name__ == "__main__":
    _, dsn, total, per_s, longest_s = sys.argv
    asyncio.run(produce(dsn, int(total), float(per_s), float(longest_s)))
