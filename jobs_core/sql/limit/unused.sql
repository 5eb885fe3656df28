-- Takes batch, keep_s. Returns key of at most that many that were made for jobs so long ago and that nobody uses: no slot is held,
-- no job waits for them, the bucket is full again. Locks nothing; limit/lock, slot/lock and limit/remove follow. It steps once
-- over all groups that wait (limit_members).
WITH member AS MATERIALIZED (SELECT * FROM {schema}.limit_members)
SELECT l.key FROM {schema}.limits AS l
WHERE NOT l.by_hand AND l.created_at < clock_timestamp() - make_interval(secs => %(keep_s)s)
  AND coalesce({schema}.permits_at(l, clock_timestamp()) >= l.burst, true)
  AND NOT EXISTS (SELECT FROM {schema}.limit_slots AS s WHERE s.key = l.key AND s.job_id IS NOT NULL)
  AND NOT EXISTS (SELECT FROM member AS m WHERE m.key = l.key)
LIMIT %(batch)s
