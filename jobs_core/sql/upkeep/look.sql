-- Returns expired (a live worker's lease has run out), gone (a job is held by a worker that is dead or missing), due_in_s
-- (seconds until the next job falls due, 0 or less: now, null: none waits for a time). Locks nothing: the one statement of an
-- idle worker's round. It steps from holder to holder through their index, whatever the statistics say.
WITH RECURSIVE holders (id) AS (
    (SELECT worker_id FROM {schema}.jobs WHERE worker_id IS NOT NULL ORDER BY worker_id LIMIT 1)
    UNION ALL
    SELECT (SELECT j.worker_id FROM {schema}.jobs AS j WHERE j.worker_id > h.id ORDER BY j.worker_id LIMIT 1)
    FROM holders AS h WHERE h.id IS NOT NULL
)
SELECT
    EXISTS (SELECT FROM {schema}.workers WHERE dead_at IS NULL AND expires_at < clock_timestamp()) AS expired,
    EXISTS (
        SELECT FROM holders AS h
        WHERE h.id IS NOT NULL
          AND NOT EXISTS (SELECT FROM {schema}.workers AS w WHERE w.id = h.id AND w.dead_at IS NULL)
    ) AS gone,
    extract(epoch FROM least(
        (
            SELECT scheduled_for FROM {schema}.jobs
            WHERE ready_seq IS NULL AND state = 'pending' AND (lane IS NULL OR lane_pos IS NOT NULL)
            ORDER BY scheduled_for LIMIT 1
        ),
        (
            SELECT scheduled_for FROM {schema}.jobs
            WHERE ready_seq IS NULL AND state = 'pending' AND lane IS NOT NULL AND lane_pos IS NULL
            ORDER BY scheduled_for LIMIT 1
        )
    ) - clock_timestamp())::double precision AS due_in_s
