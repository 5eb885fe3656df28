-- Takes key, slots, rate_per_s, burst. Sets them by hand, whether or not the key is there; a new bucket has one permit in it,
-- and one that was there keeps what it holds, as far as that fits. Returns key, slots; slot/lock and slot/fit follow.
-- Locks the key's row.
INSERT INTO {schema}.limits AS l (key, slots, rate_per_s, burst, permits, filled_at, by_hand)
VALUES (%(key)s, %(slots)s, %(rate_per_s)s, %(burst)s, CASE WHEN %(rate_per_s)s::double precision IS NOT NULL THEN 1 END,
        clock_timestamp(), true)
ON CONFLICT (key) DO UPDATE
SET slots = excluded.slots, rate_per_s = excluded.rate_per_s, burst = excluded.burst, by_hand = true,
    permits = CASE WHEN excluded.rate_per_s IS NOT NULL
              THEN least(excluded.burst, coalesce({schema}.permits_at(l, clock_timestamp()), excluded.permits)) END,
    filled_at = clock_timestamp()  -- not what was said before the wait for a claim that spends: that time would count twice
RETURNING key, slots
