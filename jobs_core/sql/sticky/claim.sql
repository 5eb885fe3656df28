-- Takes worker_id, queues, job_types with give_up_s, slots: as job/claim. Returns jobs that wait for this worker, with the columns of
-- job/claim; their ready_seq is 0, for they had none.
-- Locks the worker's row FOR SHARE, then the jobs it takes, skipping those that others have. Right against promotion, which makes
-- such a job ready for all: whichever locks it second looks at it again, and finds that it waits no more. Pauses as in job/claim.
-- One that a create has given limits or a turn while it waited (job/merge) is left until it is ready for all: here no slot is taken;
-- and one that was claimed before waits for something else (sticky/let_go).
WITH me AS MATERIALIZED (
    SELECT id, {schema}.paused(%(queues)s::text[], %(job_types)s::text[]) AS paused FROM {schema}.workers
    WHERE id = %(worker_id)s AND dead_at IS NULL AND expires_at > clock_timestamp()
    FOR SHARE
), mine AS MATERIALIZED (
    SELECT waiting.id, t.give_up_s
    FROM me
    CROSS JOIN LATERAL (
        SELECT j.id, j.job_type FROM {schema}.jobs AS j
        WHERE j.preferred_worker = me.id AND j.ready_seq IS NULL AND j.state = 'pending' AND j.token IS NULL
          AND j.queue = ANY(%(queues)s::text[]) AND j.job_type = ANY(%(job_types)s::text[])
          AND j.limit_group IS NULL
          AND NOT coalesce(me.paused -> j.queue ? j.job_type, false)
        ORDER BY j.priority, j.scheduled_for
        LIMIT %(slots)s
        FOR UPDATE SKIP LOCKED
    ) AS waiting
    JOIN unnest(%(job_types)s::text[], %(give_up_s)s::double precision[]) AS t (job_type, give_up_s) ON t.job_type = waiting.job_type
)
UPDATE {schema}.jobs AS j
SET state = 'claimed', preferred_worker = NULL, worker_id = %(worker_id)s, token = nextval('{schema}.token_seq'),
    claimed_at = clock_timestamp(), started_at = NULL,
    give_up_at = CASE WHEN j.give_up_at IS NULL THEN clock_timestamp() + make_interval(secs => mine.give_up_s)
                 ELSE j.give_up_at + make_interval(secs => {schema}.paused_s(j.queue, j.job_type, j.claimed_at)) END
FROM mine WHERE j.id = ANY(ARRAY(SELECT id FROM mine)) AND j.id = mine.id
RETURNING j.id, j.job_type, j.queue, j.priority, j.input::text, j.user_id, j.task_id, j.project_id, j.lane, j.token,
          j.retry_count, j.lost_count, j.rescued, j.created_at, j.claimed_at, j.give_up_at, 0 AS ready_seq, j.parent_id
