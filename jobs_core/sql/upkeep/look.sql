-- Takes queues, job_types of the worker that asks, most.
-- Returns expired (a live worker's lease has run out), gone (a job is held by a worker that is dead or missing), due_in_s
-- (seconds until the next job falls due or has waited long enough, or the next pause ends; 0 or less: a job is due now, null: none
-- of these), cancels (somebody wants a job ended), pause_over (one has ended, and nobody was woken for it yet), suspects (of those
-- queues and types, and not paused: jobs that stand ready to run alone, and started runs of workers that have said nothing for
-- half their lease, which are about to be lost; counted up to most of each), limited (some job with limits stands ready, whoever
-- may run it), drawn and at (the last readiness number, and the time). Locks nothing: the one statement of an idle worker's round. It steps from holder to holder through their index,
-- whatever the statistics say, and each order is there to have an index used. In the first lease after Postgres came up
-- everybody looks silent, and nobody is buried.
WITH RECURSIVE holders (id) AS (
    (SELECT worker_id FROM {schema}.jobs WHERE worker_id IS NOT NULL ORDER BY worker_id LIMIT 1)
    UNION ALL
    SELECT (SELECT j.worker_id FROM {schema}.jobs AS j WHERE j.worker_id > h.id ORDER BY j.worker_id LIMIT 1)
    FROM holders AS h WHERE h.id IS NOT NULL
), silent AS MATERIALIZED (
    SELECT id FROM {schema}.workers
    WHERE dead_at IS NULL AND expires_at < clock_timestamp() + make_interval(secs => lease_s / 2)
      AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => lease_s)
), pauses AS MATERIALIZED (
    SELECT {schema}.paused(%(queues)s::text[], %(job_types)s::text[])
)
SELECT
    EXISTS (SELECT FROM {schema}.workers WHERE dead_at IS NULL AND expires_at < clock_timestamp()) AS expired,
    EXISTS (
        SELECT FROM holders AS h
        WHERE h.id IS NOT NULL
          AND NOT EXISTS (SELECT FROM {schema}.workers AS w WHERE w.id = h.id AND w.dead_at IS NULL)
    ) AS gone,
    extract(epoch FROM least(
        (
            SELECT scheduled_for FROM {schema}.jobs
            WHERE ready_seq IS NULL AND state = 'pending' AND (lane IS NULL OR lane_pos IS NOT NULL)
            ORDER BY scheduled_for LIMIT 1
        ),
        (
            SELECT scheduled_for FROM {schema}.jobs
            WHERE ready_seq IS NULL AND state = 'pending' AND lane IS NOT NULL AND lane_pos IS NULL
            ORDER BY scheduled_for LIMIT 1
        ),
        (SELECT wait_until FROM {schema}.jobs WHERE wait_until IS NOT NULL ORDER BY wait_until LIMIT 1),
        (SELECT min(until) FROM {schema}.pauses WHERE until > clock_timestamp())
    ) - clock_timestamp())::double precision AS due_in_s,
    EXISTS (SELECT FROM {schema}.cancel_requests) AS cancels,
    EXISTS (SELECT FROM {schema}.pauses WHERE until <= clock_timestamp()) AS pause_over,
    (
        SELECT count(*) FROM pauses
        CROSS JOIN unnest(%(queues)s::text[]) AS q (queue)
        CROSS JOIN unnest(%(job_types)s::text[]) AS t (job_type)
        CROSS JOIN LATERAL (
            (
                SELECT FROM {schema}.jobs AS j
                WHERE j.queue = q.queue AND j.job_type = t.job_type AND j.ready_seq IS NOT NULL AND j.alone
                ORDER BY j.priority, j.ready_seq
                LIMIT %(most)s
            ) UNION ALL (
                SELECT FROM {schema}.jobs AS j
                WHERE j.queue = q.queue AND j.job_type = t.job_type AND j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL
                  AND j.limited_alone
                ORDER BY j.limit_group
                LIMIT %(most)s
            )
        ) AS ready
        WHERE NOT coalesce(paused -> q.queue ? t.job_type, false)
    ) + (
        SELECT count(*) FROM pauses
        CROSS JOIN silent AS w
        CROSS JOIN LATERAL (
            SELECT j.state, j.queue, j.job_type FROM {schema}.jobs AS j
            WHERE j.worker_id >= w.id AND j.worker_id <= w.id
            ORDER BY j.worker_id
            LIMIT %(most)s
        ) AS held
        WHERE held.state = 'running' AND held.queue = ANY(%(queues)s::text[]) AND held.job_type = ANY(%(job_types)s::text[])
          AND NOT coalesce(paused -> held.queue ? held.job_type, false)
    ) AS suspects,
    (
        SELECT true FROM {schema}.jobs
        WHERE ready_seq IS NOT NULL AND limit_group IS NOT NULL AND NOT limited_alone
        ORDER BY queue, job_type LIMIT 1
    ) IS NOT NULL AS limited,
    (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {schema}.ready_seq) AS drawn,
    clock_timestamp() AS at
