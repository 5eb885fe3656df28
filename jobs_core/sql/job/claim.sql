-- Takes worker_id, queues, job_types, slots (how many may start now).
-- Returns the jobs claimed, first in priority and readiness first: what a run needs to know of them.
-- Locks the worker's row FOR SHARE, so that nobody can bury the worker while it claims, then the jobs it takes.
-- Why it is right when two of it race: a job that another claim has locked is skipped, and one that it has taken is no longer
-- ready. A worker that is buried, or whose lease ran out, draws an empty `me` and claims nothing. Ready jobs of queues and
-- types not named here are never looked at: the index is led by both.
WITH me AS MATERIALIZED (
    SELECT id FROM {schema}.workers
    WHERE id = %(worker_id)s AND dead_at IS NULL AND expires_at > clock_timestamp()
    FOR SHARE
), due AS MATERIALIZED (
    SELECT ready.id, row_number() OVER (ORDER BY ready.priority, ready.ready_seq) AS nth
    FROM me
    CROSS JOIN unnest(%(queues)s::text[]) AS q (queue)
    CROSS JOIN unnest(%(job_types)s::text[]) AS t (job_type)
    CROSS JOIN LATERAL (
        SELECT j.id, j.priority, j.ready_seq FROM {schema}.jobs AS j
        WHERE j.queue = q.queue AND j.job_type = t.job_type AND j.ready_seq IS NOT NULL AND NOT j.alone
        ORDER BY j.priority, j.ready_seq
        LIMIT %(slots)s
        FOR UPDATE SKIP LOCKED
    ) AS ready
    ORDER BY ready.priority, ready.ready_seq
    LIMIT %(slots)s
)
UPDATE {schema}.jobs AS j
SET state = 'claimed', ready_seq = NULL, worker_id = %(worker_id)s, token = nextval('{schema}.token_seq'),
    claimed_at = clock_timestamp(), started_at = NULL
FROM due WHERE j.id = due.id
RETURNING j.id, j.job_type, j.queue, j.priority, j.input, j.user_id, j.task_id, j.project_id, j.lane, j.token,
          j.retry_count, j.lost_count, j.rescued, j.created_at, j.claimed_at, due.nth
