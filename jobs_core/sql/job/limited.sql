-- Takes queues, job_types, alone (suspects, or all others), after (a key: look at those behind it), keys (how many to look at),
-- jobs (how many may start now).
-- Returns one row. keys: what a claim should try, a JSON array of {key, jobs, slots, made, over} (so many jobs, which need so many
-- slots; where the key is not made yet, `made` is false and slots, rate_per_s, burst are the numbers to make it with; where
-- it was over its limit and a slot was freed since, `over` is true, and it is to be fitted first).
-- last: the key it looked at last; null: there was none behind `after`. whole: no key is left behind that one.
-- permit_in_s: until the next job of these keys has its permits; null: none waits for that.
-- Locks nothing, so what it returns may be taken by another by then: a claim that locks follows. It steps from key to key, so
-- that a hundred thousand jobs behind one full limit cost as much as one, and of a key looks at the first jobs only: whoever
-- stands behind one that does not fit waits, or a job that needs many slots would never get them.
WITH RECURSIVE waiting (key, nth) AS (
    (
        SELECT limit_key, 1 FROM {schema}.jobs
        WHERE ready_seq IS NOT NULL AND limit_key IS NOT NULL AND alone = %(alone)s AND limit_key > %(after)s
        ORDER BY limit_key LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT j.limit_key FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND j.limit_key IS NOT NULL AND j.alone = %(alone)s AND j.limit_key > w.key
        ORDER BY j.limit_key LIMIT 1
    ), w.nth + 1
    FROM waiting AS w WHERE w.key IS NOT NULL AND w.nth < %(keys)s
), open AS MATERIALIZED (
    SELECT w.key, l.key IS NOT NULL AS made, coalesce(l.over AND free.n > 0, false) AS over, l.slots, l.rate_per_s, l.burst, free.n AS free,
           {schema}.permits_at(l, clock_timestamp()) AS permits
    FROM waiting AS w
    LEFT JOIN {schema}.limits AS l ON l.key = w.key
    CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM {schema}.limit_slots AS s WHERE s.key = w.key AND s.job_id IS NULL
    ) AS free
    WHERE w.key IS NOT NULL AND (l.key IS NULL OR l.slots IS NULL OR free.n > 0)
), heads AS MATERIALIZED (
    SELECT o.*, head.priority, head.ready_seq, head.own,
           sum(CASE WHEN o.slots IS NOT NULL THEN least((head.own ->> 'weight')::integer, o.slots) END) OVER in_order AS slots_needed,
           sum(least((head.own ->> 'weight')::integer, o.burst)) OVER in_order AS permits_needed
    FROM open AS o
    CROSS JOIN LATERAL (
        SELECT one.priority, one.ready_seq, one.limits -> o.key AS own
        FROM unnest(%(queues)s::text[]) AS q (queue)
        CROSS JOIN unnest(%(job_types)s::text[]) AS t (job_type)
        CROSS JOIN LATERAL (
            SELECT j.priority, j.ready_seq, j.limits FROM {schema}.jobs AS j
            WHERE j.ready_seq IS NOT NULL AND j.limit_key IS NOT NULL AND j.alone = %(alone)s AND j.limit_key = o.key
              AND j.queue = q.queue AND j.job_type = t.job_type
            ORDER BY j.priority, j.ready_seq
            LIMIT %(jobs)s
        ) AS one
        ORDER BY one.priority, one.ready_seq
        LIMIT %(jobs)s
    ) AS head
    WINDOW in_order AS (PARTITION BY o.key ORDER BY head.priority, head.ready_seq)
), first AS MATERIALIZED (
    SELECT * FROM heads
    WHERE NOT made OR over OR (coalesce(slots_needed <= free, true) AND coalesce(permits_needed <= permits + 1e-9, true))
    ORDER BY priority, ready_seq
    LIMIT %(jobs)s
), wanted AS (
    SELECT key, made, over, count(*) AS jobs, CASE WHEN made THEN max(slots_needed) END AS needed,
           (array_agg(own ORDER BY priority, ready_seq))[1] AS own
    FROM first GROUP BY key, made, over
)
SELECT
    coalesce((
        SELECT jsonb_agg(jsonb_build_object(
            'key', key, 'made', made, 'over', over, 'jobs', jobs, 'slots',
            CASE WHEN made THEN to_jsonb(coalesce(needed, 0)) ELSE own -> 'slots' END,
            'rate_per_s', own -> 'rate_per_s', 'burst', own -> 'burst'
        )) FROM wanted
    ), '[]') AS keys,
    (SELECT max(key) FROM waiting) AS last,
    (SELECT count(key) FROM waiting) < %(keys)s AS whole,
    (
        SELECT min((permits_needed - permits) / rate_per_s) FROM heads
        WHERE coalesce(slots_needed <= free, true) AND permits_needed > permits + 1e-9
    )::double precision AS permit_in_s
