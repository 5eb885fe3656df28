-- Takes id, token, over (true: what it waits for has happened), event (null: only a time), time or else delay_s (when it goes
-- on at the latest; both null: never).
-- Returns ready (it need not wait: its turn is now), until, or no row: the lease is lost and nothing changed.
-- Locks the job. It keeps its place in its lane, so no lane is locked. Fenced like job/start. What over says is true until the
-- transaction ends: the event's row is locked (event/lock), or the job's own, which the end of a child waits for (job/lock).
-- A run that waits has ended by its own word: it is no suspect any more. Of operators' pauses since its claim: job/put_back.
WITH due AS MATERIALIZED (
    SELECT at, %(over)s OR coalesce(at <= clock_timestamp(), false) AS now
    FROM (SELECT coalesce(%(time)s::timestamptz, clock_timestamp() + make_interval(secs => %(delay_s)s))) AS due (at)
)
UPDATE {schema}.jobs AS j
SET state = CASE WHEN due.now THEN 'pending' ELSE 'waiting' END, worker_id = NULL,
    alone = CASE WHEN j.limit_group IS NULL THEN false END, limited_alone = CASE WHEN j.limit_group IS NOT NULL THEN false END,
    ready_seq = CASE WHEN due.now THEN nextval('{schema}.ready_seq') END,
    wait_event = CASE WHEN NOT due.now THEN %(event)s::text END, wait_until = CASE WHEN NOT due.now THEN due.at END,
    waiting_since = CASE WHEN NOT due.now THEN clock_timestamp() END
FROM due
WHERE j.id = %(id)s AND j.token = %(token)s AND j.state NOT IN ('pending', 'blocked', 'waiting')
  AND NOT (due.now AND coalesce(j.give_up_at <= clock_timestamp(), false)
           AND j.give_up_at + make_interval(secs => {schema}.paused_s(j.queue, j.job_type, j.claimed_at)) <= clock_timestamp())
RETURNING j.ready_seq IS NOT NULL AS ready, due.at AS until
