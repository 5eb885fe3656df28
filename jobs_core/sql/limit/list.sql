-- Takes key (null: all), after (a key: those behind it), limit, most.
-- Returns the keys in order, with the columns of LimitView; waiting counts up to `most`. Locks nothing. It steps once over all
-- groups that wait (limit_members).
WITH member AS MATERIALIZED (SELECT * FROM {schema}.limit_members)
SELECT l.key, l.slots, held.in_use, waiting.n AS waiting, l.rate_per_s, l.burst,
       {schema}.permits_at(l, clock_timestamp()) AS permits, l.by_hand, held.by AS held_by
FROM (
    SELECT * FROM {schema}.limits
    WHERE (%(key)s::text IS NULL OR key = %(key)s) AND key > %(after)s
    ORDER BY key LIMIT %(limit)s
) AS l
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS in_use, coalesce(array_agg(DISTINCT s.job_id ORDER BY s.job_id), '{}') AS by
    FROM {schema}.limit_slots AS s WHERE s.key = l.key AND s.job_id IS NOT NULL
) AS held
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS n FROM (
        SELECT FROM member AS m
        CROSS JOIN LATERAL (
            SELECT FROM {schema}.jobs AS j
            WHERE j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL AND j.limited_alone = m.limited_alone
              AND j.queue = m.queue AND j.job_type = m.job_type AND j.limit_group = m.limit_group
            LIMIT %(most)s
        ) AS job
        WHERE m.key = l.key LIMIT %(most)s
    ) AS first
) AS waiting
ORDER BY l.key
