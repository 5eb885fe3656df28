-- Takes arrays of equal length: queues, job_types, priorities, keys, waiting (how many jobs of the key may be claimed), arrived
-- (the readiness number of the first), and turns (how many those of its queue, type and class take together); and ahead.
-- Has whose turn it is take it: a first one of each key, who has waited longest for it first, then a second of each, and so on. A
-- key waits since its last turn, or since its first job is ready, and then for `ahead` numbers more than it has: so a newcomer is
-- next, but where somebody has waited for so long. Turns are counted in readiness numbers, too.
-- Returns queue, job_type, priority, fair_key, n (of its turns), since, before and served (before this, and now) of each that took one.
-- Locks the keys, in order, for this one statement: it is sent outside of a transaction, or a claim that froze would hold them.
-- Why it is right when two race: the second waits for the first and then sees, under its locks, what that one has noted; so no two
-- take the same turn, whatever their looks had seen.
WITH locked AS MATERIALIZED (
    SELECT queue, job_type, priority, key, f.served, greatest(f.served, g.arrived - %(ahead)s) AS since,
           g.arrived, g.waiting, g.turns
    FROM unnest((SELECT %(queues)s::text[]), (SELECT %(job_types)s::text[]), (SELECT %(priorities)s::smallint[]),
                (SELECT %(keys)s::text[]), (SELECT %(waiting)s::bigint[]), (SELECT %(arrived)s::bigint[]),
                (SELECT %(turns)s::bigint[]))
         AS g (queue, job_type, priority, key, waiting, arrived, turns)
    JOIN {schema}.fair_keys AS f USING (queue, job_type, priority, key)
    ORDER BY queue, job_type, priority, key
    FOR UPDATE OF f
), in_order AS MATERIALIZED (
    SELECT queue, job_type, priority, key, served, since, turns,
           row_number() OVER (PARTITION BY queue, job_type, priority ORDER BY round, since, arrived) AS turn
    FROM locked CROSS JOIN LATERAL generate_series(1, least(waiting, turns)) AS round
), taken AS MATERIALIZED (
    SELECT *, nextval('{schema}.ready_seq') AS drawn FROM (
        SELECT queue, job_type, priority, key, served, since, count(*) AS n FROM in_order WHERE turn <= turns
        GROUP BY queue, job_type, priority, key, served, since ORDER BY max(turn)
    ) AS last_turn
)
UPDATE {schema}.fair_keys AS f SET served = t.drawn, served_at = clock_timestamp()
FROM taken AS t
WHERE f.queue = t.queue AND f.job_type = t.job_type AND f.priority = t.priority AND f.key = t.key
RETURNING t.queue, t.job_type, t.priority, t.key AS fair_key, t.n, t.since, t.served AS before, t.drawn AS served
