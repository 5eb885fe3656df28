-- Returns expired (a live worker's lease has run out), gone (a job is held by a worker that is dead or missing), due_in_s
-- (seconds until the next job falls due, 0 or less: now, null: none waits for a time). Locks nothing: the one statement of an
-- idle worker's round.
SELECT
    EXISTS (SELECT FROM {schema}.workers WHERE dead_at IS NULL AND expires_at < clock_timestamp()) AS expired,
    EXISTS (
        SELECT FROM {schema}.jobs AS j
        WHERE j.worker_id IS NOT NULL
          AND NOT EXISTS (SELECT FROM {schema}.workers AS w WHERE w.id = j.worker_id AND w.dead_at IS NULL)
    ) AS gone,
    (
        SELECT extract(epoch FROM min(scheduled_for) - clock_timestamp())::double precision
        FROM {schema}.jobs WHERE ready_seq IS NULL AND state = 'pending'
    ) AS due_in_s
