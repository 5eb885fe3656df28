-- Takes keys, whose rows and slots the caller has locked in statements before this one (limit/lock, slot/lock). Removes those of
-- which no slot is held, with their slots; returns key of each. The next job that waits under one makes it anew.
WITH removed AS (
    DELETE FROM {schema}.limits AS l
    WHERE l.key = ANY(%(keys)s::text[])
      AND NOT EXISTS (SELECT FROM {schema}.limit_slots AS s WHERE s.key = l.key AND s.job_id IS NOT NULL)
    RETURNING l.key
), gone AS (
    DELETE FROM {schema}.limit_slots AS s USING removed WHERE s.key = removed.key
)
SELECT key FROM removed
