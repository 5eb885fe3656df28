-- Takes queue, job_type, priority, ready_seq, key (of a job that takes turns), most, most_keys. Returns own: how many ready jobs of
-- its key are before it in its class, counted up to most; others: how many other keys have a job in it, up to most_keys. Locks
-- nothing. It steps from group to group, as a claim's look does.
WITH RECURSIVE waiting (limit_group, nth) AS (
    (
        SELECT limit_group, 1 FROM {schema}.jobs
        WHERE ready_seq IS NOT NULL AND limit_group IS NOT NULL AND NOT limited_alone AND queue = %(queue)s AND job_type = %(job_type)s
        ORDER BY limit_group LIMIT 1
    )
    UNION ALL
    SELECT next.limit_group, w.nth + 1
    FROM waiting AS w
    CROSS JOIN LATERAL (
        SELECT j.limit_group FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL AND NOT j.limited_alone
          AND j.queue = %(queue)s AND j.job_type = %(job_type)s AND j.limit_group > w.limit_group
        ORDER BY j.limit_group LIMIT 1
    ) AS next
    WHERE w.nth <= %(most_keys)s
), of_key AS MATERIALIZED (
    SELECT limit_group, limit_group::jsonb #>> '{0,0}' AS key FROM waiting WHERE starts_with(limit_group, '[[')
)
SELECT (
    SELECT count(*) FROM (
        SELECT FROM of_key AS k
        CROSS JOIN LATERAL (
            SELECT FROM {schema}.jobs AS j
            WHERE j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL AND NOT j.limited_alone
              AND j.queue = %(queue)s AND j.job_type = %(job_type)s AND j.limit_group = k.limit_group
              AND j.priority = %(priority)s AND j.ready_seq < %(ready_seq)s
            LIMIT %(most)s
        ) AS before
        WHERE k.key = %(key)s
        LIMIT %(most)s
    ) AS first
) AS own, (
    SELECT count(DISTINCT k.key) FROM of_key AS k
    WHERE k.key <> %(key)s AND EXISTS (
        SELECT FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL AND NOT j.limited_alone
          AND j.queue = %(queue)s AND j.job_type = %(job_type)s AND j.limit_group = k.limit_group AND j.priority = %(priority)s
    )
) AS others
