-- Takes keys, whose rows and slots the caller has locked in statements before this one (limit/lock, slot/lock), and unused (true:
-- only those that still are what limit/unused looks for, which somebody may have set or spent since). Removes those of which no
-- slot is held, with their slots; returns key of each. The next job that waits under one makes it anew.
WITH removed AS (
    DELETE FROM {schema}.limits AS l
    WHERE l.key = ANY(%(keys)s::text[])
      AND (NOT %(unused)s OR (NOT l.by_hand AND coalesce({schema}.permits_at(l, clock_timestamp()) >= l.burst, true)))
      AND NOT EXISTS (SELECT FROM {schema}.limit_slots AS s WHERE s.key = l.key AND s.job_id IS NOT NULL)
    RETURNING l.key
), gone AS (
    DELETE FROM {schema}.limit_slots AS s USING removed WHERE s.key = removed.key
)
SELECT key FROM removed
