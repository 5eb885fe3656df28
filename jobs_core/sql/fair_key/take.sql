-- Takes arrays of equal length: queues, job_types, priorities, keys, waiting (how many jobs of the key may be claimed), and turns
-- (how many those of its queue, type and class take together); of keys that were not served of late the first comes first. Has whose turn it is take it: a first one of each key, who was served
-- longest ago first, then a second of each, and so on. Returns queue, job_type, priority, fair_key, n (of its turns), before and
-- served (before this, and now) of each that took one.
-- Locks the keys, in order, for this one statement: it is sent outside of a transaction, or a claim that froze would hold them.
-- Why it is right when two race: the second waits for the first and then sees, under its locks, what that one has noted; so no two
-- take the same turn, whatever their looks had seen.
WITH locked AS MATERIALIZED (
    SELECT queue, job_type, priority, key, f.served, g.waiting, g.turns, g.nth
    FROM unnest((SELECT %(queues)s::text[]), (SELECT %(job_types)s::text[]), (SELECT %(priorities)s::smallint[]),
                (SELECT %(keys)s::text[]), (SELECT %(waiting)s::bigint[]), (SELECT %(turns)s::bigint[]))
         WITH ORDINALITY AS g (queue, job_type, priority, key, waiting, turns, nth)
    JOIN {schema}.fair_keys AS f USING (queue, job_type, priority, key)
    ORDER BY queue, job_type, priority, key
    FOR UPDATE OF f
), in_order AS MATERIALIZED (
    SELECT queue, job_type, priority, key, served, turns,
           row_number() OVER (PARTITION BY queue, job_type, priority ORDER BY round, served, nth) AS turn
    FROM locked CROSS JOIN LATERAL generate_series(1, least(waiting, turns)) AS round
), taken AS MATERIALIZED (
    SELECT *, nextval('{schema}.fair_seq') AS drawn FROM (
        SELECT queue, job_type, priority, key, served, count(*) AS n FROM in_order WHERE turn <= turns
        GROUP BY queue, job_type, priority, key, served ORDER BY max(turn)
    ) AS last_turn
)
UPDATE {schema}.fair_keys AS f SET served = t.drawn, served_at = clock_timestamp()
FROM taken AS t
WHERE f.queue = t.queue AND f.job_type = t.job_type AND f.priority = t.priority AND f.key = t.key
RETURNING t.queue, t.job_type, t.priority, t.key AS fair_key, t.n, t.served AS before, t.drawn AS served
