-- Takes worker_id, queues, job_types, give_up_s (for a job that was first claimed before such times were kept).
-- Claims one suspect without limits: a job whose started run was lost, and which runs next as the only one in its process. Returns it with the
-- columns of job/claim, or no row.
-- Locks the worker's row FOR SHARE, so that nobody can bury the worker while it claims, then the job.
-- Why it is right when two of it race, and beside a pause: as in job/claim, whose index holds no suspects; this one's holds
-- nothing else.
WITH me AS MATERIALIZED (
    SELECT id, {schema}.paused(%(queues)s::text[], %(job_types)s::text[]) AS paused FROM {schema}.workers
    WHERE id = %(worker_id)s AND dead_at IS NULL AND expires_at > clock_timestamp()
    FOR SHARE
), first AS MATERIALIZED (
    SELECT ready.id, ready.ready_seq
    FROM me
    CROSS JOIN unnest(%(queues)s::text[]) AS q (queue)
    CROSS JOIN unnest(%(job_types)s::text[]) AS t (job_type)
    CROSS JOIN LATERAL (
        SELECT j.id, j.priority, j.ready_seq FROM {schema}.jobs AS j
        WHERE j.queue = q.queue AND j.job_type = t.job_type AND j.ready_seq IS NOT NULL AND j.alone
        ORDER BY j.priority, j.ready_seq
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    ) AS ready
    WHERE NOT coalesce(me.paused -> q.queue ? t.job_type, false)
    ORDER BY ready.priority, ready.ready_seq
    LIMIT 1
)
UPDATE {schema}.jobs AS j
SET state = 'claimed', ready_seq = NULL, worker_id = %(worker_id)s, token = nextval('{schema}.token_seq'),
    claimed_at = clock_timestamp(), started_at = NULL,
    give_up_at = CASE WHEN j.give_up_at IS NULL THEN clock_timestamp() + make_interval(secs => %(give_up_s)s)
                 ELSE j.give_up_at + make_interval(secs => {schema}.paused_s(j.queue, j.job_type, j.claimed_at)) END
FROM first WHERE j.id = first.id
RETURNING j.id, j.job_type, j.queue, j.priority, j.input::text, j.user_id, j.task_id, j.project_id, j.lane, j.token,
          j.retry_count, j.lost_count, j.rescued, j.created_at, j.claimed_at, j.give_up_at, first.ready_seq, j.parent_id
