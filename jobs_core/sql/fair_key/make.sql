-- Takes arrays of equal length: queues, job_types, priorities, keys, sorted. Makes those rows that are not there.
-- Locks what it makes; sent outside of a transaction, so that another of the same key waits for one statement at most. Two that
-- make the same keys make them in one order, or each would wait for what the other has made.
INSERT INTO {schema}.fair_keys (queue, job_type, priority, key)
SELECT * FROM unnest(%(queues)s::text[], %(job_types)s::text[], %(priorities)s::smallint[], %(keys)s::text[])
ON CONFLICT DO NOTHING
