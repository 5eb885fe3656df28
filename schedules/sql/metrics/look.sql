-- Takes most. Returns gauge, labels, value of what schedules/metrics.py declares. Locks nothing. It steps from job type to job type along
-- the index of what is to come, and counts up to most of each.
WITH RECURSIVE types (job_type) AS (
    (SELECT job_type FROM {schema}.schedules WHERE next_at IS NOT NULL ORDER BY job_type LIMIT 1)
    UNION ALL
    SELECT next.job_type FROM types AS t CROSS JOIN LATERAL (
        SELECT s.job_type FROM {schema}.schedules AS s
        WHERE s.next_at IS NOT NULL AND s.job_type > t.job_type ORDER BY s.job_type LIMIT 1
    ) AS next
), seen AS MATERIALIZED (
    SELECT t.job_type, first.next_at, (
        SELECT count(*) FROM (
            SELECT FROM {schema}.schedules AS s
            WHERE s.job_type = t.job_type AND s.next_at IS NOT NULL ORDER BY s.next_at LIMIT %(most)s
        ) AS part
    ) AS n
    FROM types AS t CROSS JOIN LATERAL (
        SELECT s.next_at FROM {schema}.schedules AS s
        WHERE s.job_type = t.job_type AND s.next_at IS NOT NULL ORDER BY s.next_at LIMIT 1
    ) AS first
)
SELECT s.gauge, ARRAY[job_type] AS labels, s.value::double precision AS value FROM seen
CROSS JOIN LATERAL (
    VALUES ('jobs_schedules', n), ('jobs_schedule_late_seconds', greatest(extract(epoch FROM clock_timestamp() - next_at), 0))
) AS s (gauge, value)
