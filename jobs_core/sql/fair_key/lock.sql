-- Takes arrays of equal length: queues, job_types, priorities, keys. Returns queue, job_type, priority, fair_key, served of each, as
-- it is under its lock; no row of one that another claim has locked.
-- Locks them, skipping what others have: it waits for nobody. Why it is right when two race: of two claims that saw the same turn
-- one has the row, and the other passes over it, or finds afterwards that `served` is no longer what it saw.
SELECT f.queue, f.job_type, f.priority, f.key AS fair_key, f.served
FROM unnest((SELECT %(queues)s::text[]), (SELECT %(job_types)s::text[]), (SELECT %(priorities)s::smallint[]),
            (SELECT %(keys)s::text[])) AS g (queue, job_type, priority, key)
JOIN {schema}.fair_keys AS f USING (queue, job_type, priority, key)
FOR UPDATE OF f SKIP LOCKED
