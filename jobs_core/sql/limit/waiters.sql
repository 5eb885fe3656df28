-- Takes keys. Returns queue, job_type of jobs that stand ready under them, once each. Locks nothing: it is for a hint.
-- It steps from type to type, however many jobs there are of each.
WITH RECURSIVE found (key, queue, job_type) AS (
    SELECT first.*
    FROM unnest(%(keys)s::text[]) AS g (key)
    CROSS JOIN LATERAL (
        SELECT j.limit_key, j.queue, j.job_type FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND j.limit_key IS NOT NULL AND NOT j.alone AND j.limit_key = g.key
        ORDER BY j.queue, j.job_type LIMIT 1
    ) AS first
    UNION ALL
    SELECT next.*
    FROM found AS f
    CROSS JOIN LATERAL (
        SELECT j.limit_key, j.queue, j.job_type FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND j.limit_key IS NOT NULL AND NOT j.alone AND j.limit_key = f.key
          AND (j.queue, j.job_type) > (f.queue, f.job_type)
        ORDER BY j.queue, j.job_type LIMIT 1
    ) AS next
)
SELECT DISTINCT queue, job_type FROM found
