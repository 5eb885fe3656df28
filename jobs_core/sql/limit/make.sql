-- Takes keys, slots, rate_per_s, burst (arrays of equal length). Makes those keys that are not there, for jobs that wait under
-- them; a new bucket has one permit in it. Returns key, slots of those made; slot/lock and slot/fit follow.
-- Locks the rows it makes, in order. Two that make the same key: the second waits for the first, and finds it made.
INSERT INTO {schema}.limits (key, slots, rate_per_s, burst, permits, filled_at, by_hand)
SELECT key, slots, rate_per_s, burst, CASE WHEN rate_per_s IS NOT NULL THEN 1 END, clock_timestamp(), false
FROM unnest(%(keys)s::text[], %(slots)s::integer[], %(rate_per_s)s::double precision[], %(burst)s::double precision[])
     AS g (key, slots, rate_per_s, burst)
ORDER BY key
ON CONFLICT (key) DO NOTHING
RETURNING key, slots
