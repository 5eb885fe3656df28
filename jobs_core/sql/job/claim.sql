-- Takes worker_id, queues, job_types with give_up_s (arrays of one length: when a job that was never claimed is to be given up,
-- seconds from now), floors (one readiness number a priority class: where to begin), slots (how many may start now).
-- Returns the jobs claimed, first in priority and readiness first: what a run needs to know of them. Input is JSON text.
-- Locks the worker's row FOR SHARE, so that nobody can bury the worker while it claims, then the jobs it takes.
-- Why it is right when two of it race: a job that another claim has locked is skipped, and one that it has taken is no longer
-- ready. A worker that is buried, or whose lease ran out, draws an empty `me` and claims nothing. Ready jobs of queues and
-- types not named here, or paused, are never looked at: the index is led by both. What was paused before this statement began is
-- in its snapshot, and so in `paused`. A class is looked at when those before it left slots free: the limit stops the walk. A
-- floor keeps it from entries that are dead since the last claim, and from jobs that became ready late with a low number: who
-- passes floors looks from 0 now and then. What operators' pauses took since a job's last claim is added to its time to give up.
WITH me AS MATERIALIZED (
    SELECT id, {schema}.paused(%(queues)s::text[], %(job_types)s::text[]) AS paused FROM {schema}.workers
    WHERE id = %(worker_id)s AND dead_at IS NULL AND expires_at > clock_timestamp()
    FOR SHARE
), due AS MATERIALIZED (
    SELECT ready.id, class.priority, ready.ready_seq, ready.give_up_s
    FROM me
    CROSS JOIN unnest(%(floors)s::bigint[]) WITH ORDINALITY AS class (floor, priority)
    CROSS JOIN LATERAL (
        SELECT one.id, one.ready_seq, t.give_up_s
        FROM unnest(%(queues)s::text[]) AS q (queue)
        CROSS JOIN unnest(%(job_types)s::text[], %(give_up_s)s::double precision[]) AS t (job_type, give_up_s)
        CROSS JOIN LATERAL (
            SELECT j.id, j.ready_seq FROM {schema}.jobs AS j
            WHERE j.queue = q.queue AND j.job_type = t.job_type AND j.priority = class.priority - 1
              AND j.ready_seq > class.floor AND j.ready_seq IS NOT NULL AND NOT j.alone
            ORDER BY j.priority, j.ready_seq
            LIMIT %(slots)s
            FOR UPDATE SKIP LOCKED
        ) AS one
        WHERE NOT coalesce(me.paused -> q.queue ? t.job_type, false)
        ORDER BY one.ready_seq
        LIMIT %(slots)s
    ) AS ready
    LIMIT %(slots)s
)
UPDATE {schema}.jobs AS j
SET state = 'claimed', ready_seq = NULL, worker_id = %(worker_id)s, token = nextval('{schema}.token_seq'),
    claimed_at = clock_timestamp(), started_at = NULL,
    give_up_at = CASE WHEN j.give_up_at IS NULL THEN clock_timestamp() + make_interval(secs => due.give_up_s)
                 ELSE j.give_up_at + make_interval(secs => {schema}.paused_s(j.queue, j.job_type, j.claimed_at)) END
FROM due WHERE j.id = ANY(ARRAY(SELECT id FROM due)) AND j.id = due.id  -- or it would read a small table whole: end_many
RETURNING j.id, j.job_type, j.queue, j.priority, j.input::text, j.user_id, j.task_id, j.project_id, j.lane, j.token,
          j.retry_count, j.lost_count, j.rescued, j.created_at, j.claimed_at, j.give_up_at, due.ready_seq, j.parent_id
