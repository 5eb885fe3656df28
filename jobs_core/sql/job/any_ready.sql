-- Takes queues, job_types.
-- Returns `ready`: whether a job stands ready for them and is not paused. Locks nothing. A worker whose claim came back short
-- asks this, for a claim skips what another holds locked for that instant, and does not learn whether that one took it.
WITH pauses AS MATERIALIZED (SELECT {schema}.paused(%(queues)s::text[], %(job_types)s::text[]))
SELECT EXISTS (
    SELECT FROM pauses CROSS JOIN unnest(%(queues)s::text[]) AS q (queue)
    CROSS JOIN unnest(%(job_types)s::text[]) AS t (job_type)
    CROSS JOIN LATERAL (
        SELECT FROM {schema}.jobs AS j
        WHERE j.queue = q.queue AND j.job_type = t.job_type AND j.ready_seq IS NOT NULL AND NOT j.alone
        ORDER BY j.priority, j.ready_seq  -- or fresh statistics choose to read the whole table
        LIMIT 1
    ) AS ready
    WHERE NOT coalesce(paused -> q.queue ? t.job_type, false)
) AS ready
