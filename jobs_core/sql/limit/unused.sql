-- Takes batch, keep_s. Returns key of at most that many that were made for jobs so long ago and that nobody uses: no slot is held,
-- no job waits under them, the bucket is full again. Locks nothing; limit/lock, slot/lock and limit/remove follow.
SELECT l.key FROM {schema}.limits AS l
WHERE NOT l.by_hand AND l.created_at < clock_timestamp() - make_interval(secs => %(keep_s)s)
  AND coalesce({schema}.permits_at(l, clock_timestamp()) >= l.burst, true)
  AND NOT EXISTS (SELECT FROM {schema}.limit_slots AS s WHERE s.key = l.key AND s.job_id IS NOT NULL)
  AND NOT EXISTS (
      SELECT FROM {schema}.jobs AS j
      WHERE j.ready_seq IS NOT NULL AND j.limit_key IS NOT NULL AND j.alone IN (false, true) AND j.limit_key = l.key
  )
LIMIT %(batch)s
