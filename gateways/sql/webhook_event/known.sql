-- Takes sources, keys: arrays of equal length. Returns the events that were taken in under these, in no order. Locks nothing: what
-- is known of an event stays, and one that another door is inserting is met by add.
SELECT e.source, e.key, e.id, e.digest, e.result, e.job_id
FROM unnest(%(sources)b::text[], %(keys)b::text[]) AS g (source, key)
JOIN {schema}.webhook_events AS e ON e.source = g.source AND e.key = g.key
