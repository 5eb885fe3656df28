-- Takes keys and jobs (arrays of equal length: how many of those that wait under the key), queues, job_types, alone.
-- Returns id, job_type, priority, ready_seq, limit_key, limits of each, in no order.
-- Locks them, skipping what others have locked; the caller has slots of these keys (limit/acquire), and claims or moves them.
SELECT head.*
FROM unnest(%(keys)s::text[], %(jobs)s::bigint[]) AS g (key, jobs)
CROSS JOIN LATERAL (
    SELECT one.*
    FROM unnest(%(queues)s::text[]) AS q (queue)
    CROSS JOIN unnest(%(job_types)s::text[]) AS t (job_type)
    CROSS JOIN LATERAL (
        SELECT j.id, j.job_type, j.priority, j.ready_seq, j.limit_key, j.limits FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND j.limit_key IS NOT NULL AND j.alone = %(alone)s AND j.limit_key = g.key
          AND j.queue = q.queue AND j.job_type = t.job_type
        ORDER BY j.priority, j.ready_seq
        LIMIT g.jobs
        FOR UPDATE SKIP LOCKED
    ) AS one
    ORDER BY one.priority, one.ready_seq
    LIMIT g.jobs
) AS head
