"""Rules of redrives: new jobs for those that ended badly, each of which stays as it ended."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from jobs_core import Connection, Fail
from jobs_core.dead_letters import DEAD
from jobs_core.redrive import Batch, Letters, redrive
from tests.drills.walk.known import Known, must
from tests.drills.walk.runs import a_run, make_room
from tests.drills.walk.settles import ended_as
from tests.drills.walk.walk import TYPES, Walk, rule

_MOST = 3
"""New jobs of one call."""


def _meant(walk: Walk, letters: Letters) -> list[Known]:
    """In the order in which they ended."""
    return [
        job
        for job in walk.model.ended.values()
        if job.state in letters.states
        and not job.gone
        and (letters.again or letters.ids is not None or job.id not in walk.model.redrives)
        and letters.job_type in {None, job.job_type}
        and letters.queue in {None, job.queue}
        and letters.lane in {None, job.lane}
        and (letters.ids is None or job.id in letters.ids)
    ]


async def _one_fails(walk: Walk) -> None:
    run, job = await a_run(walk)
    walk.tell(await ended_as(walk, run, job, Fail("no"), "failed", reason="error"))


async def _redrive(walk: Walk, conn: Connection, letters: Letters) -> list[Batch]:
    async with aclosing(redrive(conn, walk.jobs.table, letters, limit=_MOST)) as batches:
        return [batch async for batch in batches]


def _learn(walk: Walk, letters: Letters, batches: Sequence[Batch]) -> str:
    """In their order: a new job, or the reason why there is none; none is passed by while there is room for more."""
    redriven = {old: new for batch in batches for old, new in batch.redriven.items()}
    left = {one.id: one for batch in batches for one in batch.left}
    meant = _meant(walk, letters)
    seen = [job for job in meant if job.id in redriven or job.id in left]
    must(seen == meant[: len(seen)], f"S9: {[job.id for job in seen]} of {[job.id for job in meant]} were looked at")
    must(seen == meant or len(redriven) == _MOST, f"{[job.id for job in meant if job not in seen]} were passed by")
    must(redriven.keys() <= {job.id for job in meant}, f"S9: {redriven}, of {[job.id for job in meant]}")
    for job in seen:
        before = None if letters.again else walk.model.redrives.get(job.id)
        holder = walk.model.holder(job.job_type, job.unique_key) if job.unique_key else None
        if job.id in redriven:
            must(before is None, f"S9: job {job.id} was redriven as {before} before, and as {redriven[job.id]} again")
            must(holder is None, f"S10: job {holder} has the key of job {job.id}, which was redriven")
            begin_anew(walk, job, redriven[job.id])
        else:
            why = ("redriven", before) if before else ("met", holder)
            must((left[job.id].why, left[job.id].by) == why, f"job {job.id}: {left[job.id]}, must be {why}")
    return f"{letters}: {redriven}, left {sorted(left)}"


def begin_anew(walk: Walk, old: Known, job_id: int) -> Known:
    """The model learns of the job that does this one again."""
    new = Known(
        job_id,
        old.job_type,
        old.priority,
        old.lane,
        unique_key=old.unique_key,
        unique_while=old.unique_while,
        queue=old.queue,
        limits=old.limits,
        retry_of=old.id,
        sticky=old.sticky,
        user_id=old.user_id,
        fair=old.fair,
    )
    walk.model.create(new, later=False)
    walk.model.redrives[old.id] = job_id
    return new


@rule(1.1)
async def redrive_in_bulk(walk: Walk) -> str:
    """Those that failed, and maybe the cancelled, of a type, a queue or a lane: the first that ended first."""
    await make_room(walk)
    letters = walk.dice.choice(
        (
            Letters(),
            Letters(states=DEAD),
            Letters(states=DEAD, job_type=walk.dice.choice(list(TYPES))),
            Letters(states=DEAD, queue="other"),
            Letters(states=DEAD, lane="a"),
        )
    )
    if not _meant(walk, letters):
        await _one_fails(walk)
    return _learn(walk, letters, await _redrive(walk, walk.conn, letters))


@rule()
async def redrive_one(walk: Walk) -> str:
    """By its id; one that was redriven before is left, and told, unless it is to be redriven again."""
    await make_room(walk)
    if not _meant(walk, Letters(states=DEAD, again=True)):
        await _one_fails(walk)
    job = walk.pick(_meant(walk, Letters(states=DEAD, again=True)))
    letters = Letters(states=DEAD, ids=(job.id,), again=walk.chance(0.2))
    return _learn(walk, letters, await _redrive(walk, walk.conn, letters))


@rule()
async def redrive_what_is_no_dead_letter(walk: Walk) -> str:
    """What lives, has completed, or is kept no more: left, and told."""
    job = walk.pick(
        job for job in [*walk.model.jobs.values(), *walk.model.ended.values()] if job.state not in DEAD or job.gone
    )
    batches = await _redrive(walk, walk.conn, Letters(states=DEAD, ids=(job.id,)))
    must(not any(batch.redriven for batch in batches), f"S9: job {job.id} is {job.state}, and was redriven")
    must([one.id for batch in batches for one in batch.left] == [job.id], f"job {job.id}: nothing was told of it")
    return f"job {job.id}, {job.state}"


@rule(1.1)
async def redrive_twice_at_once(walk: Walk) -> str:
    """Two callers: each letter is redriven once, by one or the other."""
    await make_room(walk)
    if not _meant(walk, Letters(states=DEAD)):
        await _one_fails(walk)
    job = walk.pick(_meant(walk, Letters(states=DEAD)))
    letters = Letters(states=DEAD, ids=(job.id,))

    async def one() -> list[Batch]:
        async with walk.jobs.database.connection() as conn:
            return await _redrive(walk, conn, letters)

    both = sorted(await asyncio.gather(one(), one()), key=lambda batches: not any(b.redriven for b in batches))
    return "; ".join(_learn(walk, letters, batches) for batches in both)
