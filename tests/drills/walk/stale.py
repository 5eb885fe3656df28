"""Rules of runs that hold their job no longer: every write again, and each must be refused."""

from datetime import timedelta

from jobs_core import AnyJob, Cancel, Complete, Fail, NewJob, Outcome, Retry, Snooze, Wait, fence
from jobs_core.children import CHILDREN
from jobs_core.claim import start, start_many
from jobs_core.settle import Completed, end_many, settle
from tests.drills.walk.known import Violation
from tests.drills.walk.new_jobs import HOUR
from tests.drills.walk.walk import TYPES, NotNow, Walk, refused, rule


async def _settle(walk: Walk, run: AnyJob, outcome: Outcome) -> str:
    return await refused(settle(walk.conn, run, outcome, TYPES[run.job_type]), run)


@rule()
async def start_stale(walk: Walk) -> str:
    """It does not run."""
    run = walk.stale_run()
    return await refused(start(walk.conn, run), run)


@rule()
async def start_many_stale(walk: Walk) -> str:
    """None of them runs."""
    runs = {run.id: run for run in (walk.stale_run(), walk.stale_run())}
    if got := await start_many(walk.conn, list(runs.values())):
        raise Violation(f"S3: {got} were started with stale tokens")
    return str(list(runs))


@rule()
async def complete_stale(walk: Walk) -> str:
    """With and without an `also`."""
    run = walk.stale_run()
    return await _settle(walk, run, Complete(also=walk.effect(run) if walk.chance(0.5) else None))


@rule(1.1)
async def end_many_stale(walk: Walk) -> str:
    """None has ended by it."""
    runs = {
        run.id: run
        for run in (walk.stale_run(), walk.stale_run())
        if not run.lane and not run.parent_id and not run.limited
    }
    if not runs:
        raise NotNow
    if got := await end_many(walk.conn, [Completed(run, None, "standard") for run in runs.values()]):
        raise Violation(f"S3: {got} were ended with stale tokens")
    return str(list(runs))


@rule()
async def retry_stale(walk: Walk) -> str:
    """Not put back, and not failed for having no retries left."""
    return await _settle(walk, walk.stale_run(), Retry("late", after=timedelta(0) if walk.chance(0.5) else None))


@rule()
async def snooze_stale(walk: Walk) -> str:
    """Likewise."""
    run = walk.stale_run()
    return await _settle(walk, run, Snooze(HOUR, also=walk.effect(run) if walk.chance(0.5) else None))


@rule()
async def drain_stale(walk: Walk) -> str:
    """Nothing to hand back."""
    return await _settle(walk, walk.stale_run(), Snooze(timedelta(0), because="drained"))


@rule()
async def wait_stale(walk: Walk) -> str:
    """For an event, a time, or children."""
    run = walk.stale_run()
    wait = walk.dice.choice((Wait("stale"), Wait(until=HOUR), Wait("stale", timedelta(0)), Wait(CHILDREN)))
    return await _settle(walk, run, wait)


@rule()
async def fail_stale(walk: Walk) -> str:
    """It goes on where it is."""
    return await _settle(walk, walk.stale_run(), Fail("late"))


@rule()
async def cancel_stale(walk: Walk) -> str:
    """And what it created is not asked to end."""
    return await _settle(walk, walk.stale_run(), Cancel("late"))


@rule()
async def step_stale(walk: Walk) -> str:
    """Not recorded."""
    run = walk.stale_run()
    return await refused(
        run.step(f"stale {len(walk.story)}", lambda: 1, on_unknown=walk.dice.choice(("again", "ask"))), run
    )


@rule()
async def spawn_stale(walk: Walk) -> str:
    """No child."""
    run = walk.stale_run()
    lane = walk.dice.choice(("", "x" if run.lane != "x" else "y"))  # its own would be refused for that
    child = NewJob("lane_note" if lane else "note", {"lane": lane})
    return await refused(run.spawn(f"stale {len(walk.story)}", child), run)


@rule()
async def write_stale(walk: Walk) -> str:
    """A transaction of its own begins with the fence."""
    run = walk.stale_run()

    async def write() -> None:
        async with walk.conn.transaction():
            await fence(walk.conn, run)
            await walk.effect(run)(walk.conn)

    return await refused(write(), run)
