-- Takes arrays of equal length, one element a run that completed: ids, tokens, results (JSON text or null), retentions.
-- Texts go in binary: psycopg escapes the quotes of a text array one by one (35 ms for 500 small results).
-- Returns `ids` of the jobs ended, which moved to history, null for none. For the others the lease is lost; nothing changed.
-- Locks the jobs, none of which is in a lane. Fenced like job/start.
-- Each array stands in a SELECT, so that the planner does not see its length: for 500 it would rather read a small table whole.
WITH ended AS (
    DELETE FROM {schema}.jobs AS j
    USING unnest((SELECT %(ids)s::bigint[]), (SELECT %(tokens)s::bigint[]), (SELECT %(results)b::text[]),
                 (SELECT %(retentions)b::text[]))
          AS given (id, token, result, retention)
    WHERE j.id = given.id AND j.token = given.token
      AND j.state NOT IN ('pending', 'blocked', 'waiting')
    RETURNING j.id, j.job_type, j.queue, j.priority, j.input, given.result::jsonb, j.user_id, j.task_id, j.project_id,
              j.unique_key, j.unique_while, j.retry_of, j.scheduled_for, j.worker_id, j.token, j.retry_count, j.lost_count,
              j.created_at, j.claimed_at, j.started_at, given.retention
), kept AS (
    INSERT INTO {schema}.history (id, job_type, queue, priority, state, input, result, user_id, task_id, project_id, unique_key,
                                  unique_while, retry_of, scheduled_for, worker_id, token, retry_count, lost_count, created_at,
                                  claimed_at, started_at, retention)
    SELECT id, job_type, queue, priority, 'complete', input, result, user_id, task_id, project_id, unique_key,
           unique_while, retry_of, scheduled_for, worker_id, token, retry_count, lost_count, created_at, claimed_at, started_at,
           retention
    FROM ended
)
SELECT array_agg(id) AS ids FROM ended
