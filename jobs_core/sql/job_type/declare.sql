-- Takes arrays of equal length, one element a job type, no name twice: names, queues, priorities, has_lanes, has_unique_keys,
-- has_limits, fair_bys, unique_whiles, merges, idempotency_s, holds_lanes. Makes them known to {schema}.create, and to job/crashed;
-- touches a row for each that is new or has changed.
-- Locks the rows, sorted, until the transaction ends. Of two processes that declare a type differently the last one is heard.
INSERT INTO {schema}.job_types AS t (name, queue, priority, has_lane, has_unique_key, has_limits, fair_by, unique_while, merges,
                                     idempotency_s, holds_lane)
SELECT * FROM unnest(%(names)s::text[], %(queues)s::text[], %(priorities)s::smallint[], %(has_lanes)s::boolean[],
                     %(has_unique_keys)s::boolean[], %(has_limits)s::boolean[], %(fair_bys)s::text[],
                     %(unique_whiles)s::text[], %(merges)s::boolean[], %(idempotency_s)s::double precision[],
                     %(holds_lanes)s::boolean[])
              AS g (name, queue, priority, has_lane, has_unique_key, has_limits, fair_by, unique_while, merges, idempotency_s,
                    holds_lane)
ORDER BY g.name COLLATE "C"
ON CONFLICT (name) DO UPDATE
SET queue = excluded.queue, priority = excluded.priority, has_lane = excluded.has_lane,
    has_unique_key = excluded.has_unique_key, has_limits = excluded.has_limits, fair_by = excluded.fair_by,
    unique_while = excluded.unique_while, merges = excluded.merges, idempotency_s = excluded.idempotency_s,
    holds_lane = excluded.holds_lane
WHERE t.* IS DISTINCT FROM excluded.*
