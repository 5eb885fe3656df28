-- Returns queue, job_type of jobs with limits that stand ready for all, once each. Locks nothing: it is for a hint.
-- It steps from type to type, however many jobs there are of each.
WITH RECURSIVE found (queue, job_type) AS (
    (
        SELECT queue, job_type FROM {schema}.jobs
        WHERE ready_seq IS NOT NULL AND limit_group IS NOT NULL AND NOT limited_alone
        ORDER BY queue, job_type LIMIT 1
    )
    UNION ALL
    SELECT next.*
    FROM found AS f
    CROSS JOIN LATERAL (
        SELECT j.queue, j.job_type FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL AND NOT j.limited_alone
          AND (j.queue, j.job_type) > (f.queue, f.job_type)
        ORDER BY j.queue, j.job_type LIMIT 1
    ) AS next
)
SELECT queue, job_type FROM found
