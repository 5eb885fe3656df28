"""Rules of notes: what runs say of themselves, written together, and only for those that hold their job."""

import time
from collections.abc import Sequence

from jobs_core import AnyJob, execute
from jobs_core.notes import Clock, Notebook, begin, write
from tests.drills.walk.known import must
from tests.drills.walk.runs import a_run
from tests.drills.walk.walk import Walk, rule

_MOST = 10


async def _said(walk: Walk, runs: Sequence[AnyJob]) -> list[Notebook]:
    """Each says a line, and maybe how far it is; it is taken to be written."""
    for run in runs:
        notebook = walk.notebooks.setdefault(run.token, Notebook(run.id, run.token, run.created_at))
        notebook.log("line", {"step": len(walk.story)})
        if walk.chance(0.5):
            notebook.progress(0.5, "")
    open_ = [walk.notebooks[run.token] for run in runs if not walk.notebooks[run.token].closed]
    clock = Clock(runs[0].claimed_at, time.monotonic())
    if new := [notebook for notebook in open_ if notebook.numbers_before is None]:
        clock = await begin(walk.conn, new)
    for notebook in open_:
        notebook.take(_MOST, clock)
    return open_


def _learn(walk: Walk, notebook: Notebook) -> None:
    """What it has taken is written: numbered on from what the job's runs have said before."""
    for note in notebook.taken:
        n = 1 + max(
            (n for job_id, kind, n in walk.model.notes if (job_id, kind) == (notebook.job_id, note.kind)), default=0
        )
        walk.model.notes[notebook.job_id, note.kind, n] = notebook.token


@rule(1.3)
async def say_something(walk: Walk) -> str:
    """Several runs in one statement, stale ones among them."""
    runs = {run.token: run for run in ((await a_run(walk))[0], (await a_run(walk))[0])}
    holding = set(runs)
    if walk.chance(0.6):
        stale = walk.stale_run()
        runs[stale.token] = stale
    said = await _said(walk, list(runs.values()))
    for notebook in said:
        if notebook.token in holding:
            _learn(walk, notebook)
    await write(walk.conn, said)
    for notebook in said:
        must(
            notebook.closed is (notebook.token not in holding), f"S3: token {notebook.token}: closed: {notebook.closed}"
        )
        must(not notebook.taken, f"what token {notebook.token} said is not written")
    return f"{[run.id for run in runs.values()]}, holding {sorted(holding)}"


@rule()
async def say_something_stale(walk: Walk) -> str:
    """It is not written, and says nothing any more."""
    run = walk.stale_run()
    if said := await _said(walk, [run]):
        await write(walk.conn, said)
    must(walk.notebooks[run.token].closed, f"S3: job {run.id}: what stale token {run.token} says is kept")
    return f"job {run.id} token {run.token}"


@rule(1.3)
async def say_something_while_somebody_has_the_job(walk: Walk) -> str:
    """A settle, say: its row is passed over, and it is said again."""
    run, _ = await a_run(walk)
    said = await _said(walk, [run])
    async with walk.jobs.database.connection() as other, other.transaction():
        await execute(other, "SELECT FROM jobs.jobs WHERE id = %(id)s FOR UPDATE", {"id": run.id})
        await write(walk.conn, said)
    must(said and said[0].taken, f"job {run.id}: its row was locked, and what it says is not to be said again")
    _learn(walk, said[0])
    await write(walk.conn, said)
    return f"job {run.id} token {run.token}"
