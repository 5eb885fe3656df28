-- For which keys groups of ready jobs wait: a row a group and key of its. It steps from group to group along jobs_limited, so that
-- it costs by their number and not by that of the jobs; who asks makes it MATERIALIZED, or it would be stepped over for each key.
CREATE VIEW {schema}.limit_members AS
WITH RECURSIVE line (limited_alone, queue, job_type, limit_group) AS (
    (
        SELECT limited_alone, queue, job_type, limit_group FROM {schema}.jobs
        WHERE ready_seq IS NOT NULL AND limit_group IS NOT NULL
        ORDER BY limited_alone, queue, job_type, limit_group LIMIT 1
    )
    UNION ALL
    SELECT next.*
    FROM line AS l
    CROSS JOIN LATERAL (
        SELECT j.limited_alone, j.queue, j.job_type, j.limit_group FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL
          AND (j.limited_alone, j.queue, j.job_type, j.limit_group) > (l.limited_alone, l.queue, l.job_type, l.limit_group)
        ORDER BY j.limited_alone, j.queue, j.job_type, j.limit_group LIMIT 1
    ) AS next
)
SELECT line.*, k.key FROM line CROSS JOIN LATERAL jsonb_array_elements_text(line.limit_group::jsonb) AS k (key);
