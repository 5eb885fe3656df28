-- Takes most. Returns, of each queue and type of which jobs stand ready that are not paused: queue, job_type, limited (they wait for limits
-- or turns), ready_seq (the least there is; with limits, of the first most), and when that job cannot have been ready yet
-- (not_before); besides, in each row, the highest readiness number drawn and when that was looked up (drawn, at). One row at least:
-- with queue null.
-- Locks nothing. Bounded as metrics/look is.
WITH RECURSIVE plain (queue, job_type) AS (
    (SELECT queue, job_type FROM {schema}.jobs WHERE ready_seq IS NOT NULL AND NOT alone ORDER BY queue, job_type LIMIT 1)
    UNION ALL
    SELECT next.* FROM plain AS p CROSS JOIN LATERAL (
        SELECT j.queue, j.job_type FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND NOT j.alone AND (j.queue, j.job_type) > (p.queue, p.job_type)
        ORDER BY j.queue, j.job_type LIMIT 1
    ) AS next
), found AS MATERIALIZED (
    SELECT p.queue, p.job_type, false AS limited, first.*
    FROM plain AS p
    CROSS JOIN LATERAL (
        SELECT one.* FROM generate_series(0, 4) AS class (priority)
        CROSS JOIN LATERAL (
            SELECT j.ready_seq, j.created_at, j.claimed_at, j.scheduled_for FROM {schema}.jobs AS j
            WHERE j.queue = p.queue AND j.job_type = p.job_type AND j.priority = class.priority
              AND j.ready_seq IS NOT NULL AND NOT j.alone
            ORDER BY j.priority, j.ready_seq LIMIT 1
        ) AS one
        ORDER BY one.ready_seq LIMIT 1
    ) AS first
    UNION ALL
    SELECT DISTINCT ON (queue, job_type) queue, job_type, true, ready_seq, created_at, claimed_at, scheduled_for
    FROM (
        SELECT queue, job_type, ready_seq, created_at, claimed_at, scheduled_for FROM {schema}.jobs
        WHERE ready_seq IS NOT NULL AND limit_group IS NOT NULL AND NOT limited_alone
        ORDER BY queue, job_type, limit_group, priority, ready_seq LIMIT %(most)s
    ) AS part
    ORDER BY queue, job_type, ready_seq
), pauses AS MATERIALIZED (
    SELECT {schema}.paused(array_agg(DISTINCT queue), array_agg(DISTINCT job_type)) FROM found
), now AS MATERIALIZED (
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS drawn, clock_timestamp() AS at FROM {schema}.ready_seq
)
SELECT f.queue, f.job_type, f.limited, f.ready_seq, greatest(f.created_at, f.claimed_at, f.scheduled_for) AS not_before,
       now.drawn, now.at
FROM now
LEFT JOIN (
    SELECT found.* FROM found CROSS JOIN pauses WHERE NOT coalesce(paused -> queue ? job_type, false)
) AS f ON true
