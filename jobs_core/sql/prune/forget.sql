-- Takes ids of ended jobs, first, last (between which their attempts ended). Deletes what is kept about them elsewhere: attempts, and
-- by which job they were redriven. Returns attempts: how many. Locks those rows. Idempotency keys stay until their time is over: an
-- event is one job whether or not history still holds it. Sent unprepared, as history/newest.
WITH gone AS (
    DELETE FROM {schema}.attempts
    WHERE job_id = ANY(%(ids)s::bigint[]) AND ended_at >= %(first)s::timestamptz AND ended_at <= %(last)s::timestamptz
    RETURNING job_id
), forgotten AS (
    DELETE FROM {schema}.redrives WHERE job_id = ANY(%(ids)s::bigint[])
)
SELECT count(*) AS attempts FROM gone
