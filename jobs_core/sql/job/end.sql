-- Takes id, token, state (complete, failed, cancelled), result (jsonb text or null), error, reason (of attempts, null: it completed),
-- retention.
-- Returns job_type, worker_id of the job, which moved to history, or, of retention `none`, is gone (job/count_ended follows, at the
-- end of the transaction); no row: the lease is lost and nothing changed.
-- Locks the job. A job in a lane is ended with its lane's row locked before, in a statement of its own (lane/lock), and its
-- lane promoted after (lane/promote), in one transaction; a child likewise with its parent locked before (job/lock), and told
-- after (job/wake_parent); and slots that it holds are freed (slot/free). Fenced like job/start.
-- One that did not complete is kept with the class it was created in, where a redrive begins, however far it went up since.
WITH ended AS (
    DELETE FROM {schema}.jobs
    WHERE id = %(id)s AND token = %(token)s AND state NOT IN ('pending', 'blocked', 'waiting')
    RETURNING *
), recorded AS (
    INSERT INTO {schema}.attempts (job_id, token, worker_id, reason, error, alone, claimed_at, started_at)
    SELECT id, token, worker_id, %(reason)s, %(error)s, coalesce(alone, limited_alone), claimed_at, started_at
    FROM ended WHERE %(reason)s::text IS NOT NULL
), kept AS (
    INSERT INTO {schema}.history (id, job_type, queue, priority, state, input, result, error, user_id, task_id, project_id,
                                  lane, lane_pos, unique_key, unique_while, retry_of, scheduled_for, worker_id, token,
                                  retry_count, lost_count, created_at, claimed_at, started_at, retention, parent_id)
    SELECT id, job_type, queue, CASE %(state)s WHEN 'complete' THEN priority ELSE coalesce(first_priority, priority) END,
           %(state)s, input, %(result)s::jsonb, %(error)s, user_id, task_id, project_id,
           lane, lane_pos, unique_key, unique_while, retry_of, scheduled_for, worker_id, token, retry_count, lost_count,
           created_at, claimed_at, started_at, %(retention)s, parent_id
    FROM ended WHERE %(retention)s::text <> 'none'
)
SELECT job_type, worker_id FROM ended
