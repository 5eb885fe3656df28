"""Rules of history that goes: pruned before its time, or by whole days. What lives, and all else, stays."""

from datetime import UTC, datetime

from jobs_core import execute
from jobs_core.history import drop_partitions
from jobs_core.prune import CLASSES, Chosen, preview, prune
from jobs_core.settings import HistorySettings
from jobs_core.settle import failed_as
from tests.drills.walk.known import Known, must
from tests.drills.walk.new_jobs import HOUR
from tests.drills.walk.tables import is_counted
from tests.drills.walk.walk import TYPES, NotNow, Walk, rule

_LONG_AGO = """
CREATE TABLE jobs.history_{kept_as}_20000101 PARTITION OF jobs.history_{kept_as}
FOR VALUES FROM ('2000-01-01 00:00+00') TO ('2000-01-02 00:00+00')
"""
_ENDED_THEN = "UPDATE jobs.history SET ended_at = '2000-01-01 12:00+00' WHERE id = ANY(%(ids)s)"


def _kept_as(job: Known) -> str:
    retention = TYPES[job.job_type].retention
    return retention if job.state == "complete" else failed_as(retention)


def _kept(walk: Walk, *classes: str) -> list[Known]:
    """What history holds of these classes."""
    kept = [job for job in walk.model.ended.values() if not job.gone and not is_counted(job)]
    return [job for job in kept if _kept_as(job) in classes]


@rule(4.0)
async def prune_some(walk: Walk) -> str:
    """Of a class, a type or a state: these rows, their attempts and redrives; and keys whose time is over."""
    classes = tuple(walk.dice.sample(CLASSES, walk.dice.choice((1, 3))))
    job_type, state = walk.dice.choice((None, *TYPES)), walk.dice.choice((None, "complete", "failed", "cancelled"))
    meant = [job for job in _kept(walk, *classes) if job_type in {None, job.job_type} and state in {None, job.state}]
    if not meant:
        raise NotNow
    over = [place for place, key in walk.model.keys.items() if key.expired]
    chosen = Chosen(datetime.now(UTC) + HOUR, classes, job_type, state)
    counted, keys = await preview(walk.conn, chosen)
    must((sum(part.rows for part in counted), keys) == (len(meant), len(over)), f"it counts {counted} and {keys} keys")
    steps = [step async for step in prune(walk.conn, chosen)]
    must(sum(step.rows for step in steps) == len(meant), f"of {[job.id for job in meant]} {steps} are gone")
    _forget(walk, meant)
    for place in over:
        del walk.model.keys[place]
    return f"{classes}, {job_type}, {state}: {[job.id for job in meant]}"


def _forget(walk: Walk, gone: list[Known]) -> None:
    ids = {job.id for job in gone}
    for job in gone:
        job.gone = True
        walk.model.redrives.pop(job.id, None)
    for attempt in [attempt for attempt in walk.model.attempts if attempt[0] in ids]:
        del walk.model.attempts[attempt]


@rule(2.3)
async def a_day_of_history_is_dropped(walk: Walk) -> str:
    """It was kept long enough: all that ended on it, of its class, and nothing else."""
    kept_as = walk.dice.choice(CLASSES)
    meant = [job for job in _kept(walk, kept_as) if walk.chance(0.7)]
    if not meant:
        raise NotNow
    await execute(walk.conn, _LONG_AGO.format(kept_as=kept_as))
    await execute(walk.conn, _ENDED_THEN, {"ids": [job.id for job in meant]})
    dropped, left = await drop_partitions(walk.conn, HistorySettings())
    must((dropped, left) == ([f"history_{kept_as}_20000101"], {}), f"{dropped} were dropped, and {left} not")
    for job in meant:
        job.gone = True
    return f"{kept_as}: {[job.id for job in meant]}"
