-- Takes batch, keep_s. Returns key of at most that many that were made for jobs so long ago and that nobody uses: no slot is held,
-- no job waits for them, the bucket is full again. Locks nothing; limit/lock, slot/lock and limit/remove follow. It steps once
-- over all groups that wait.
WITH RECURSIVE line (limited_alone, queue, job_type, limit_group) AS (
    (
        SELECT limited_alone, queue, job_type, limit_group FROM {schema}.jobs
        WHERE ready_seq IS NOT NULL AND limit_group IS NOT NULL
        ORDER BY limited_alone, queue, job_type, limit_group LIMIT 1
    )
    UNION ALL
    SELECT next.*
    FROM line AS l
    CROSS JOIN LATERAL (
        SELECT j.limited_alone, j.queue, j.job_type, j.limit_group FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL
          AND (j.limited_alone, j.queue, j.job_type, j.limit_group) > (l.limited_alone, l.queue, l.job_type, l.limit_group)
        ORDER BY j.limited_alone, j.queue, j.job_type, j.limit_group LIMIT 1
    ) AS next
), member AS MATERIALIZED (
    SELECT line.*, k.key FROM line CROSS JOIN LATERAL jsonb_array_elements_text(line.limit_group::jsonb) AS k (key)
)
SELECT l.key FROM {schema}.limits AS l
WHERE NOT l.by_hand AND l.created_at < clock_timestamp() - make_interval(secs => %(keep_s)s)
  AND coalesce({schema}.permits_at(l, clock_timestamp()) >= l.burst, true)
  AND NOT EXISTS (SELECT FROM {schema}.limit_slots AS s WHERE s.key = l.key AND s.job_id IS NOT NULL)
  AND NOT EXISTS (SELECT FROM member AS m WHERE m.key = l.key)
LIMIT %(batch)s
