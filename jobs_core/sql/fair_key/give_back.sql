-- Takes arrays of equal length: queues, job_types, priorities, keys, served and before (as fair_key/take returned them). Has those
-- that took a turn and got nothing come before others again, unless they have taken another since. Locks them, in order.
WITH locked AS MATERIALIZED (
    SELECT queue, job_type, priority, key, g.before
    FROM unnest((SELECT %(queues)s::text[]), (SELECT %(job_types)s::text[]), (SELECT %(priorities)s::smallint[]),
                (SELECT %(keys)s::text[]), (SELECT %(served)s::bigint[]), (SELECT %(before)s::bigint[]))
         AS g (queue, job_type, priority, key, served, before)
    JOIN {schema}.fair_keys AS f USING (queue, job_type, priority, key, served)
    ORDER BY queue, job_type, priority, key
    FOR UPDATE OF f
)
UPDATE {schema}.fair_keys AS f SET served = l.before
FROM locked AS l
WHERE f.queue = l.queue AND f.job_type = l.job_type AND f.priority = l.priority AND f.key = l.key
