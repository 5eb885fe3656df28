-- Takes ids of jobs that this transaction has made ready, and which have a key. Those of which the key's last worker lives, serves
-- them and has room wait for it: they are due for all only when their time with it is over. As many as it has room for: of the others
-- nothing changes. Not those with limits, which wait for slots, nor suspects. One that was debounced has been due: no create puts it off
-- any more. Returns id, queue, job_type, worker_id of those that wait.
-- Locks what is the caller's own; it reads workers without a lock: one that dies now costs the job that time.
WITH wanted AS MATERIALIZED (
    SELECT j.id, j.sticky_s, w.id AS worker_id, w.slots, row_number() OVER (PARTITION BY w.id ORDER BY j.id) AS nth
    FROM {schema}.jobs AS j
    JOIN {schema}.sticky_keys AS s ON s.key = j.sticky_key
    JOIN {schema}.workers AS w ON w.id = s.worker_id
    WHERE j.id = ANY((SELECT %(ids)s::bigint[])::bigint[])
      AND j.ready_seq IS NOT NULL AND NOT j.alone
      AND w.dead_at IS NULL AND w.expires_at > clock_timestamp()
      AND j.queue = ANY(w.queues) AND j.job_type = ANY(w.job_types)
), room AS MATERIALIZED (
    SELECT w.worker_id, w.slots - (
        SELECT count(*) FROM (
            SELECT FROM {schema}.jobs AS held
            WHERE held.worker_id >= w.worker_id AND held.worker_id <= w.worker_id AND held.state = 'running'
            ORDER BY held.worker_id LIMIT w.slots
        ) AS running
    ) - (
        SELECT count(*) FROM (
            SELECT FROM {schema}.jobs AS other
            WHERE other.preferred_worker >= w.worker_id AND other.preferred_worker <= w.worker_id
            ORDER BY other.preferred_worker LIMIT w.slots
        ) AS waiting
    ) AS n
    FROM (SELECT DISTINCT worker_id, slots FROM wanted) AS w
)
UPDATE {schema}.jobs AS j
SET ready_seq = NULL, preferred_worker = wanted.worker_id, scheduled_for = clock_timestamp() + make_interval(secs => wanted.sticky_s),
    debounce_until = NULL
FROM wanted JOIN room ON room.worker_id = wanted.worker_id
WHERE j.id = wanted.id AND wanted.nth <= room.n
RETURNING j.id, j.queue, j.job_type, j.preferred_worker AS worker_id
