-- Takes most. Returns gauge, labels, value of what jobs_core/metrics.py declares, but for what it computes itself.
-- Locks nothing. However many jobs there are it reads a bounded part: it steps from queue and type to queue and type along the indexes of
-- ready jobs, counts each up to most, and up to most of all those scheduled, waiting, held and in lanes; each order is there to
-- have an index used. Small tables (workers, pauses, lanes that are held, slots that are) are read whole.
WITH RECURSIVE plain (queue, job_type) AS (
    (SELECT queue, job_type FROM {schema}.jobs WHERE ready_seq IS NOT NULL AND NOT alone ORDER BY queue, job_type LIMIT 1)
    UNION ALL
    SELECT next.* FROM plain AS p CROSS JOIN LATERAL (
        SELECT j.queue, j.job_type FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND NOT j.alone AND (j.queue, j.job_type) > (p.queue, p.job_type)
        ORDER BY j.queue, j.job_type LIMIT 1
    ) AS next
), living (queue, job_type, state, n) AS (
    SELECT p.queue, p.job_type, 'ready', (
        SELECT count(*) FROM (
            SELECT FROM {schema}.jobs AS j
            WHERE j.queue = p.queue AND j.job_type = p.job_type AND j.ready_seq IS NOT NULL AND NOT j.alone
            ORDER BY j.priority, j.ready_seq LIMIT %(most)s
        ) AS part
    )
    FROM plain AS p
    UNION ALL
    SELECT queue, job_type, state, count(*) FROM (
        (
            SELECT queue, job_type, 'suspect' AS state FROM {schema}.jobs WHERE ready_seq IS NOT NULL AND alone
            ORDER BY queue, job_type, priority, ready_seq LIMIT %(most)s
        ) UNION ALL (
            SELECT queue, job_type, 'suspect' FROM {schema}.jobs
            WHERE ready_seq IS NOT NULL AND limit_group IS NOT NULL AND limited_alone
            ORDER BY queue, job_type, limit_group, priority, ready_seq LIMIT %(most)s
        ) UNION ALL (
            SELECT queue, job_type, 'limited' FROM {schema}.jobs
            WHERE ready_seq IS NOT NULL AND limit_group IS NOT NULL AND NOT limited_alone
            ORDER BY queue, job_type, limit_group, priority, ready_seq LIMIT %(most)s
        ) UNION ALL (
            SELECT queue, job_type, 'scheduled' FROM {schema}.jobs
            WHERE ready_seq IS NULL AND state = 'pending' AND (lane IS NULL OR lane_pos IS NOT NULL)
            ORDER BY scheduled_for LIMIT %(most)s
        ) UNION ALL (
            SELECT queue, job_type, 'scheduled' FROM {schema}.jobs
            WHERE ready_seq IS NULL AND state = 'pending' AND lane IS NOT NULL AND lane_pos IS NULL
            ORDER BY scheduled_for LIMIT %(most)s
        ) UNION ALL (
            SELECT queue, job_type, 'waiting' FROM {schema}.jobs WHERE wait_event IS NOT NULL ORDER BY wait_event LIMIT %(most)s
        ) UNION ALL (
            SELECT queue, job_type, 'waiting' FROM (
                SELECT queue, job_type, wait_event FROM {schema}.jobs WHERE wait_until IS NOT NULL ORDER BY wait_until LIMIT %(most)s
            ) AS timed
            WHERE wait_event IS NULL
        ) UNION ALL (
            SELECT queue, job_type, state FROM {schema}.jobs WHERE worker_id IS NOT NULL ORDER BY worker_id LIMIT %(most)s
        ) UNION ALL (
            SELECT queue, job_type, state FROM (
                SELECT queue, job_type, state FROM {schema}.jobs WHERE lane_pos IS NOT NULL ORDER BY lane, lane_pos LIMIT %(most)s
            ) AS in_lanes
            WHERE state = 'blocked'
        )
    ) AS others
    GROUP BY queue, job_type, state
), slots AS MATERIALIZED (
    SELECT l.slots AS most, held.n
    FROM (
        SELECT key, count(*) AS n FROM (
            SELECT key FROM {schema}.limit_slots WHERE job_id IS NOT NULL ORDER BY job_id LIMIT %(most)s
        ) AS part GROUP BY key
    ) AS held
    JOIN {schema}.limits AS l ON l.key = held.key
)
SELECT 'jobs_living' AS gauge, ARRAY[queue, job_type, state] AS labels, sum(n)::double precision AS value
FROM living GROUP BY queue, job_type, state
UNION ALL
SELECT 'jobs_due_late_seconds', '{}', coalesce(greatest(extract(epoch FROM clock_timestamp() - least(
    (
        SELECT scheduled_for FROM {schema}.jobs
        WHERE ready_seq IS NULL AND state = 'pending' AND (lane IS NULL OR lane_pos IS NOT NULL)
        ORDER BY scheduled_for LIMIT 1
    ), (
        SELECT scheduled_for FROM {schema}.jobs
        WHERE ready_seq IS NULL AND state = 'pending' AND lane IS NOT NULL AND lane_pos IS NULL
        ORDER BY scheduled_for LIMIT 1
    )
)), 0), 0)
UNION ALL
SELECT w.gauge, '{}', w.n FROM (
    SELECT count(*) FILTER (WHERE expires_at > clock_timestamp()) AS alive,
           count(*) FILTER (WHERE expires_at <= clock_timestamp()) AS expired,
           coalesce(sum(slots) FILTER (WHERE expires_at > clock_timestamp()), 0) AS slots
    FROM {schema}.workers WHERE dead_at IS NULL
) AS seen
CROSS JOIN LATERAL (
    VALUES ('jobs_workers', seen.alive), ('jobs_workers_expired', seen.expired), ('jobs_worker_slots', seen.slots)
) AS w (gauge, n)
UNION ALL
SELECT s.gauge, '{}', s.n FROM (
    SELECT count(*) AS keys, count(*) FILTER (WHERE n >= most) AS is_full, coalesce(sum(n), 0) AS held,
           coalesce(sum(most), 0) AS most
    FROM slots
) AS seen
CROSS JOIN LATERAL (
    VALUES ('jobs_limits_in_use', seen.keys), ('jobs_limits_full', seen.is_full), ('jobs_limit_slots_held', seen.held),
           ('jobs_limit_slots', seen.most)
) AS s (gauge, n)
UNION ALL
SELECT 'jobs_lanes_held', '{}', (
    SELECT count(*) FROM (SELECT FROM {schema}.lanes WHERE held_at IS NOT NULL LIMIT %(most)s) AS part
)
UNION ALL
SELECT 'jobs_paused', ARRAY[coalesce(queue, ''), coalesce(job_type, ''), because], 1
FROM {schema}.pauses WHERE coalesce(until, 'infinity') > clock_timestamp()
UNION ALL
SELECT t.gauge, ARRAY[name], t.n
FROM unnest(ARRAY['jobs', 'workers', 'lanes', 'limit_slots', 'job_keys', 'events', 'steps']) AS name
CROSS JOIN LATERAL (
    VALUES ('jobs_table_rows', pg_catalog.pg_stat_get_live_tuples(('{schema}.' || name)::regclass)),
           ('jobs_table_dead_rows', pg_catalog.pg_stat_get_dead_tuples(('{schema}.' || name)::regclass))
) AS t (gauge, n)
