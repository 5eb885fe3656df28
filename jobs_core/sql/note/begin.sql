-- Takes ids (of jobs whose runs have something to say for the first time), since (when the first of them was created).
-- Returns job_id, log, progress of each: the last number of each kind that the job's earlier runs have come to; and now.
-- Locks nothing: those runs are over, and nothing is added to their notes. Sent unprepared: planned with `since`, it opens the
-- days since then only.
SELECT given.id AS job_id, clock_timestamp() AS now,
       coalesce((SELECT max(n) FROM {schema}.notes WHERE job_id = given.id AND kind = 'log'
                 AND said_at >= %(since)s::timestamptz), 0) AS log,
       coalesce((SELECT max(n) FROM {schema}.notes WHERE job_id = given.id AND kind = 'progress'
                 AND said_at >= %(since)s::timestamptz), 0) AS progress
FROM unnest(%(ids)s::bigint[]) AS given (id)
