-- Takes batch, keep_s. Removes at most that many keys that were made for jobs so long ago and that nobody uses: no slot is held,
-- no job waits under them, the bucket is full again. Returns key of each; slot/lock and slot/fit follow. Locks the rows.
-- A claim that takes a slot meanwhile keeps it: the key is made anew for the next job, and the slot counts then.
DELETE FROM {schema}.limits WHERE key = ANY(ARRAY(
    SELECT l.key FROM {schema}.limits AS l
    WHERE NOT l.by_hand AND l.created_at < clock_timestamp() - make_interval(secs => %(keep_s)s)
      AND coalesce({schema}.permits_at(l, clock_timestamp()) >= l.burst, true)
      AND NOT EXISTS (SELECT FROM {schema}.limit_slots AS s WHERE s.key = l.key AND s.job_id IS NOT NULL)
      AND NOT EXISTS (
          SELECT FROM {schema}.jobs AS j
          WHERE j.ready_seq IS NOT NULL AND j.limit_key IS NOT NULL AND j.alone IN (false, true) AND j.limit_key = l.key
      )
    LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
))
RETURNING key
