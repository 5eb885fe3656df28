-- Takes job_types. Returns in_s: seconds until the next schedule of these types is due, negative where one is; null: there is none.
-- Locks nothing.
SELECT extract(epoch FROM min(first.next_at) - clock_timestamp())::double precision AS in_s
FROM unnest(%(job_types)s::text[]) AS t (job_type)
CROSS JOIN LATERAL (
    SELECT next_at FROM {schema}.schedules WHERE job_type = t.job_type AND next_at IS NOT NULL ORDER BY next_at LIMIT 1
) AS first
