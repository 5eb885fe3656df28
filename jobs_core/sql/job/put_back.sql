-- Takes id, token, time or else delay_s (when it is due again; past or 0: ready now), charge (1 spends a retry, 0 does not),
-- error (null keeps the last one), reason (of attempts), final (true: not if the job's time to give up has come).
-- Returns ready, or no row: the lease is lost, or the job is to be given up; nothing changed.
-- Locks the job. It keeps its place in its lane, so no lane is locked; slots that it holds are freed after it (slot/free). Fenced
-- like job/start. The run is recorded among the attempts; having ended by its own word, it is no suspect any more. The time to
-- give up was moved on at the claim by operators' pauses before it; those since then are asked for here, and only where it has
-- come.
WITH due AS MATERIALIZED (
    SELECT at, at <= clock_timestamp() AS now
    FROM (SELECT coalesce(%(time)s::timestamptz, clock_timestamp() + make_interval(secs => %(delay_s)s))) AS due (at)
), held AS MATERIALIZED (
    SELECT id, token, worker_id, coalesce(alone, limited_alone) AS alone, claimed_at, started_at FROM {schema}.jobs
    WHERE id = %(id)s AND token = %(token)s AND state NOT IN ('pending', 'blocked', 'waiting')
      AND NOT (%(final)s AND coalesce(give_up_at <= clock_timestamp(), false)
               AND give_up_at + make_interval(secs => {schema}.paused_s(queue, job_type, claimed_at)) <= clock_timestamp())
    FOR UPDATE
), recorded AS (
    INSERT INTO {schema}.attempts (job_id, token, worker_id, reason, error, alone, claimed_at, started_at)
    SELECT id, token, worker_id, %(reason)s, %(error)s, alone, claimed_at, started_at FROM held
)
UPDATE {schema}.jobs AS j
SET state = 'pending', worker_id = NULL, retry_count = j.retry_count + %(charge)s,
    last_error = coalesce(%(error)s, j.last_error),
    alone = CASE WHEN j.limit_group IS NULL THEN j.alone AND NOT %(final)s END,
    limited_alone = CASE WHEN j.limit_group IS NOT NULL THEN j.limited_alone AND NOT %(final)s END,
    ready_seq = CASE WHEN due.now THEN nextval('{schema}.ready_seq') END,
    scheduled_for = CASE WHEN due.now THEN j.scheduled_for ELSE due.at END
FROM due, held
WHERE j.id = held.id
RETURNING j.ready_seq IS NOT NULL AS ready
