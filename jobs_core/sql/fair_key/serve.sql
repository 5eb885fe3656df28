-- Takes arrays of equal length: queues, job_types, priorities, keys, which the caller has locked (fair_key/lock), and tokens.
-- Notes that each was served by the claim of that token. Locks nothing more.
UPDATE {schema}.fair_keys AS f SET served = g.token, served_at = clock_timestamp()
FROM unnest((SELECT %(queues)s::text[]), (SELECT %(job_types)s::text[]), (SELECT %(priorities)s::smallint[]),
            (SELECT %(keys)s::text[]), (SELECT %(tokens)s::bigint[])) AS g (queue, job_type, priority, key, token)
WHERE f.queue = g.queue AND f.job_type = g.job_type AND f.priority = g.priority AND f.key = g.key
