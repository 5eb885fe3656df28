-- Takes queues, job_types, alone (suspects, or all others), after (a group: look at those behind it), groups (how many of each
-- queue and type to look at), jobs (how many may start now), spare (how many more that take turns to return: whose turn it is may
-- have changed when one is taken), ahead (fair_key/take). A group is the jobs that have the same keys; it waits as one.
-- Returns one row. lines: what a claim should try, a JSON array of {queue, job_type, priority, limit_group, jobs: how many of it,
-- places: theirs in the order of all, fair_key: whose they are (null: they take no turns), arrived: the number of that key's first}.
-- keys: how many slots of each key these need, {key: slots}. new: keys that are not made yet, with the numbers to make them with.
-- over: keys that were over their limits and of which a slot was freed since: they are to be fitted first.
-- last: the group to go on behind; null: none is left. permit_in_s: until a job has its permits; null: none waits for that.
-- Locks nothing, so what it returns may be taken by another by then: a claim that locks follows. It steps from group to group,
-- so that a hundred thousand jobs behind one full limit cost as much as one. Whoever comes after a job that does not fit, and
-- needs the key that is short for it, waits with it: or a job that needs many slots would never get them.
-- Where jobs take turns, all of their queue, type and class have the places among others that their readiness gives them, and
-- share these out among themselves: a first job of each key, who was served longest ago first, then a second of each, and so on.
WITH RECURSIVE me AS MATERIALIZED (
    SELECT {schema}.paused(%(queues)s::text[], %(job_types)s::text[]) AS paused
), waiting (queue, job_type, limit_group, priority, ready_seq, nth) AS (
    SELECT q.queue, t.job_type, first.*, 1
    FROM me
    CROSS JOIN unnest(%(queues)s::text[]) AS q (queue)
    CROSS JOIN unnest(%(job_types)s::text[]) AS t (job_type)
    CROSS JOIN LATERAL (
        SELECT j.limit_group, j.priority, j.ready_seq FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL AND j.limited_alone = %(alone)s
          AND j.queue = q.queue AND j.job_type = t.job_type AND j.limit_group > %(after)s
        ORDER BY j.limit_group, j.priority, j.ready_seq LIMIT 1
    ) AS first
    WHERE NOT coalesce(me.paused -> q.queue ? t.job_type, false)
    UNION ALL
    SELECT w.queue, w.job_type, next.*, w.nth + 1
    FROM waiting AS w
    CROSS JOIN LATERAL (
        SELECT j.limit_group, j.priority, j.ready_seq FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL AND j.limited_alone = %(alone)s
          AND j.queue = w.queue AND j.job_type = w.job_type AND j.limit_group > w.limit_group
        ORDER BY j.limit_group, j.priority, j.ready_seq LIMIT 1
    ) AS next
    WHERE w.nth < %(groups)s
), groups AS MATERIALIZED (
    SELECT w.queue, w.job_type, w.limit_group, w.priority, w.ready_seq, g.keys, first.fair_key,
           jsonb_array_length(g.keys) = (first.fair_key IS NOT NULL)::integer AS unlimited
    FROM waiting AS w
    CROSS JOIN LATERAL (SELECT w.limit_group::jsonb AS keys) AS g
    CROSS JOIN LATERAL (SELECT CASE WHEN jsonb_typeof(g.keys -> 0) = 'array' THEN g.keys #>> '{0,0}' END AS fair_key) AS first
), member AS MATERIALIZED (
    SELECT DISTINCT g.limit_group, k.key #>> '{}' AS key
    FROM groups AS g CROSS JOIN LATERAL jsonb_array_elements(g.keys) AS k (key)
    WHERE NOT g.unlimited AND jsonb_typeof(k.key) = 'string'
), state AS MATERIALIZED (
    SELECT k.key, l.key IS NOT NULL AS made, coalesce(l.over AND free.n > 0, false) AS over, l.slots, free.n AS free,
           l.rate_per_s, l.burst, {schema}.permits_at(l, clock_timestamp()) + 1e-9 AS permits  -- or a wait ends a hair too soon
    FROM (SELECT DISTINCT key FROM member) AS k
    LEFT JOIN {schema}.limits AS l ON l.key = k.key
    CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM {schema}.limit_slots AS s WHERE s.key = k.key AND s.job_id IS NULL
    ) AS free
), shut AS MATERIALIZED (
    SELECT m.limit_group FROM member AS m JOIN state AS s ON s.key = m.key
    WHERE s.slots IS NOT NULL AND s.free = 0 OR s.burst IS NOT NULL AND s.permits < 1
), room AS MATERIALIZED (  -- how many of a group may be claimed at the most: each takes one slot and permit of each key, or more
    SELECT m.limit_group, min(CASE WHEN NOT s.made THEN 1 ELSE least(
        CASE WHEN s.slots IS NOT NULL THEN s.free END, CASE WHEN s.burst IS NOT NULL THEN floor(s.permits)::bigint END
    ) END) AS n
    FROM member AS m JOIN state AS s ON s.key = m.key
    GROUP BY m.limit_group
), near AS MATERIALIZED (  -- of keys that nothing keeps from their turns, as many as there may be turns
    SELECT * FROM (
        SELECT g.queue, g.job_type, g.limit_group, g.fair_key, g.unlimited, r.n AS room,
               row_number() OVER (PARTITION BY g.queue, g.job_type, g.unlimited
                                  ORDER BY g.priority, greatest(f.served, g.ready_seq - %(ahead)s), g.ready_seq) AS nth
        FROM groups AS g
        LEFT JOIN room AS r ON r.limit_group = g.limit_group
        LEFT JOIN {schema}.fair_keys AS f
            ON f.queue = g.queue AND f.job_type = g.job_type AND f.priority = g.priority AND f.key = g.fair_key
        WHERE g.limit_group NOT IN (SELECT limit_group FROM shut)
    ) AS in_turn
    WHERE NOT unlimited OR nth <= %(jobs)s::bigint + %(spare)s
), heads AS MATERIALIZED (
    SELECT n.queue, n.job_type, n.limit_group, n.fair_key, head.priority, head.ready_seq, head.limits,
           f.served, min(head.ready_seq) OVER of_key AS arrived, row_number() OVER (of_key ORDER BY head.ready_seq) AS round
    FROM near AS n
    CROSS JOIN LATERAL (
        SELECT j.priority, j.ready_seq, j.limits FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL AND j.limited_alone = %(alone)s
          AND j.queue = n.queue AND j.job_type = n.job_type AND j.limit_group = n.limit_group
        ORDER BY j.priority, j.ready_seq
        LIMIT CASE WHEN n.unlimited THEN %(jobs)s::bigint + %(spare)s + 1 - n.nth ELSE least(%(jobs)s, n.room) END
    ) AS head
    LEFT JOIN {schema}.fair_keys AS f
        ON f.queue = n.queue AND f.job_type = n.job_type AND f.priority = head.priority AND f.key = n.fair_key
    WINDOW of_key AS (PARTITION BY n.queue, n.job_type, head.priority, n.fair_key)
), shared AS MATERIALIZED (
    SELECT queue, job_type, priority, array_agg(ready_seq ORDER BY ready_seq) AS places
    FROM heads WHERE fair_key IS NOT NULL GROUP BY queue, job_type, priority
), placed AS MATERIALIZED (
    SELECT queue, job_type, limit_group, fair_key, arrived, priority, ready_seq, limits, ready_seq AS place
    FROM heads WHERE fair_key IS NULL
    UNION ALL
    SELECT queue, job_type, t.limit_group, t.fair_key, t.arrived, priority, t.ready_seq, t.limits, places[t.nth]
    FROM (
        SELECT *, row_number() OVER (PARTITION BY queue, job_type, priority
                                     ORDER BY round, greatest(served, arrived - %(ahead)s), ready_seq) AS nth
        FROM heads WHERE fair_key IS NOT NULL
    ) AS t JOIN shared USING (queue, job_type, priority)
), need AS MATERIALIZED (
    SELECT own.*, coalesce(sum(own.n_slots) OVER in_order <= own.free, true)
                  AND coalesce(sum(own.n_permits) OVER in_order <= own.permits, true) AS fits,
           row_number() OVER in_order AS nth
    FROM (
        SELECT h.*, s.*,
               CASE WHEN s.slots IS NOT NULL THEN least((h.limits -> s.key ->> 'weight')::integer, s.slots) END AS n_slots,
               CASE WHEN s.burst IS NOT NULL THEN least((h.limits -> s.key ->> 'weight')::integer, s.burst) END AS n_permits
        FROM placed AS h
        LEFT JOIN member AS m ON m.limit_group = h.limit_group
        LEFT JOIN state AS s ON s.key = m.key
    ) AS own
    WINDOW in_order AS (PARTITION BY own.limit_group, own.key ORDER BY own.priority, own.place)
), short AS MATERIALIZED (
    SELECT key, min(ARRAY[priority, place]) AS place
    FROM need WHERE nth = 1 AND NOT fits GROUP BY key
), first AS MATERIALIZED (
    SELECT * FROM (
        SELECT n.queue, n.job_type, n.limit_group, n.priority, n.ready_seq, n.place, n.fair_key, n.arrived,
               row_number() OVER (ORDER BY n.priority, n.place) AS nth
        FROM need AS n LEFT JOIN short AS s ON s.key = n.key AND s.place < ARRAY[n.priority, n.place]
        GROUP BY n.queue, n.job_type, n.limit_group, n.priority, n.ready_seq, n.place, n.fair_key, n.arrived
        HAVING bool_and(n.fits AND s.key IS NULL)
    ) AS in_order
    WHERE nth <= %(jobs)s::bigint + CASE WHEN fair_key IS NULL THEN 0 ELSE %(spare)s END
)
SELECT
    coalesce((
        SELECT jsonb_agg(to_jsonb(line)) FROM (
            SELECT queue, job_type, priority, limit_group, fair_key, min(arrived) AS arrived, count(*) AS jobs,
                   array_agg(place ORDER BY place) AS places
            FROM first GROUP BY queue, job_type, priority, limit_group, fair_key
        ) AS line
    ), '[]') AS lines,
    coalesce((
        SELECT jsonb_object_agg(key, n) FROM (
            SELECT n.key, coalesce(sum(n.n_slots), 0) AS n
            FROM need AS n JOIN first AS f ON f.ready_seq = n.ready_seq
            WHERE n.key IS NOT NULL
            GROUP BY n.key
        ) AS wanted
    ), '{}') AS keys,
    coalesce((
        SELECT jsonb_agg((n.limits -> n.key) - 'weight' || jsonb_build_object('key', n.key))
        FROM need AS n WHERE n.nth = 1 AND NOT n.made
    ), '[]') AS new,
    ARRAY(SELECT key FROM state WHERE over) AS over,
    (SELECT min(limit_group) FROM waiting WHERE nth = %(groups)s) AS last,
    (
        SELECT min((wanted - permits) / rate_per_s) FROM (
            SELECT 1 AS wanted, permits, rate_per_s FROM state WHERE permits < 1
            UNION ALL
            SELECT n_permits, permits, rate_per_s FROM need WHERE nth = 1 AND n_permits > permits
        ) AS waits
    )::double precision AS permit_in_s
