-- Takes most. Returns gauge, labels, value of what assistant/metrics.py declares. Locks nothing. It reads what is open, of which
-- there are indexes, and of each kind no more than most.
WITH open AS MATERIALIZED (
    SELECT state, created_at, expires_at FROM {schema}.pending_actions
    WHERE state IN ('pending', 'approved', 'executing', 'unknown') ORDER BY id LIMIT %(most)s
), waiting AS MATERIALIZED (
    SELECT count(*) AS n, extract(epoch FROM clock_timestamp() - min(created_at)) AS oldest_s,
           extract(epoch FROM min(expires_at) - clock_timestamp()) AS left_s
    FROM open WHERE state = 'pending'
), owed AS MATERIALIZED (
    SELECT coalesce(channel, '') AS channel, count(*) AS n, extract(epoch FROM clock_timestamp() - min(created_at)) AS oldest_s
    FROM (
        SELECT channel, created_at FROM {schema}.deliveries WHERE state = 'owed' ORDER BY state, id LIMIT %(most)s
    ) AS part
    GROUP BY 1
)
SELECT 'jobs_approvals_open' AS gauge, ARRAY[name] AS labels, (SELECT count(*) FROM open WHERE state = name)::double precision AS value
FROM unnest(ARRAY['pending', 'approved', 'executing', 'unknown']) AS name
UNION ALL
SELECT 'jobs_approvals_oldest_seconds', '{}', coalesce(greatest(oldest_s, 0), 0) FROM waiting
UNION ALL
SELECT 'jobs_approvals_expiry_seconds', '{}', left_s FROM waiting WHERE n > 0
UNION ALL
SELECT o.gauge, ARRAY[channel], o.value FROM owed
CROSS JOIN LATERAL (
    VALUES ('jobs_deliveries_owed', n), ('jobs_deliveries_oldest_owed_seconds', greatest(oldest_s, 0))
) AS o (gauge, value)
