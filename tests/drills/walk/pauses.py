"""Rules of pauses: an operator's and an outcome's, how they end, and the time that they take from nobody."""

from datetime import timedelta

from jobs_core import Snooze, execute
from jobs_core.pauses import end_due, forget_paused_times, pause, resume
from jobs_core.settle import settle
from tests.drills.walk.known import must
from tests.drills.walk.model_pauses import Place
from tests.drills.walk.new_jobs import HOUR
from tests.drills.walk.runs import a_run
from tests.drills.walk.walk import QUEUES, TYPES, NotNow, Walk, rule

_MOST = 3
"""In force at once: more, and hardly a claim finds anything."""


@rule(1.1)
async def pause_a_queue_or_a_type(walk: Walk) -> str:
    """For an hour, or until somebody resumes it; the last word stands."""
    if len(walk.model.pauses.in_force()) >= _MOST:
        raise NotNow
    queue, job_type = walk.dice.choice((*QUEUES, None, None)), walk.dice.choice((*TYPES, None, None))
    if queue is None and job_type is None:
        raise NotNow
    timed = walk.chance(0.5)
    await pause(walk.conn, queue=queue, job_type=job_type, until=HOUR if timed else None, set_by="walk")
    walk.model.pauses.left_h[Place(queue, job_type)] = 1.0 if timed else None
    return f"{queue}, {job_type}, timed: {timed}"


@rule(1.6)
async def resume_one(walk: Walk) -> str:
    """Just this, whoever set it; one that is not paused is not there to lift."""
    place = walk.pick(walk.model.pauses.left_h) if walk.chance(0.9) else Place(QUEUES[0], "note")
    lifted = await resume(walk.conn, queue=place.queue, job_type=place.job_type)
    wanted = [one for one in walk.model.pauses.left_h if (one.queue, one.job_type) == (place.queue, place.job_type)]
    must(len(lifted) == len(wanted), f"{lifted} were lifted, must be {wanted}")
    for one in wanted:
        del walk.model.pauses.left_h[one]
    return str(wanted)


@rule(1.3)
async def an_outcome_pauses_its_queue(walk: Walk) -> str:
    """A provider's word: the latest end wins, and the run's time to give up goes on."""
    run, job = await a_run(walk)
    later = walk.chance(0.5)
    outcome = Snooze(HOUR if later else timedelta(0), because="rate_limited", pause_queue_until=HOUR)
    await settle(walk.conn, run, outcome, TYPES[run.job_type])
    walk.model.put_back(job, "rate_limited", later=later, charge=0, final=True)
    walk.model.pauses.left_h[Place(job.queue, None, by_operator=False)] = 1.0
    return f"job {job.id}, queue {job.queue}, later: {later}"


@rule(10)
async def hours_pass(walk: Walk) -> str:
    """For pauses, and for what runs and pauses take of a job's time.

    Not for jobs in lanes: claimed_at tells there who was first (S4).
    """
    hours = walk.dice.choice((3.31, 7.73))  # no sum of them is a number of hours
    begun = [job for job in walk.model.jobs.values() if job.left_h is not None and not job.lane]
    paused = [job for job in begun if walk.model.pauses.paused_h(job, hours)]
    if not any(job.state == "ready" for job in paused) and walk.chance(0.8 if paused else 0.95):
        raise NotNow
    sql = """UPDATE jobs.jobs SET claimed_at = claimed_at - %(span)s, give_up_at = give_up_at - %(span)s,
                 waiting_since = waiting_since - %(span)s WHERE lane IS NULL;
             UPDATE jobs.pauses SET started_at = started_at - %(span)s, until = until - %(span)s;
             UPDATE jobs.paused_times SET started_at = started_at - %(span)s, ended_at = ended_at - %(span)s"""
    for statement in sql.split(";"):
        await execute(walk.conn, statement, {"span": timedelta(hours=hours)})
    walk.model.pass_hours(hours)
    return f"{hours} h"


@rule()
async def put_pauses_away_that_are_over(walk: Walk) -> str:
    """Upkeep: what was paused is claimed again before, and its time is not forgotten."""
    in_force = walk.model.pauses.in_force()
    over = [place for place in walk.model.pauses.left_h if place not in in_force]
    any_ = await end_due(walk.conn)
    must(any_ is bool(over), f"{over} are over, and upkeep said {any_}")
    for place in over:
        del walk.model.pauses.left_h[place]
    return str(over)


@rule()
async def forget_times_of_pauses(walk: Walk) -> str:
    """Housekeeping: those that no living job's time depends on."""
    await forget_paused_times(walk.conn)
    return ""
