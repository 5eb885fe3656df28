-- Takes worker_ids (of workers that are gone: worker/gone), batch, max_lost, error, unsuspected (names of job types). Puts back the
-- jobs they hold. A run that had started is charged as lost, recorded as an attempt, and makes its job a suspect, unless its type is
-- one of those; a suspect runs alone from now on; one that was
-- alone already for the max_lost-th time is left for job/crashed. Returns id, queue, job_type, alone, limited of each.
-- Locks the jobs, skipping those that another rescue has. They keep their place in their lanes, so no lane is locked. The
-- slots that they hold are freed after it, in the same transaction (slot/free).
-- Right against the old worker: its settle needs the state that this takes away, and its token is drawn afresh at the next
-- claim. Right against a living one: the ids are given, not joined, so that a row which another rescue and a claim have
-- changed since is looked at again by its new holder (a join's other side is not looked up again under the lock).
WITH lost AS MATERIALIZED (
    SELECT id, token, worker_id, state = 'running' AS started, coalesce(alone, limited_alone) AS alone, claimed_at, started_at,
           state = 'running' AND job_type <> ALL(%(unsuspected)s::text[]) AS suspected
    FROM {schema}.jobs
    WHERE worker_id = ANY(%(worker_ids)s::bigint[])
      AND NOT (state = 'running' AND coalesce(alone, limited_alone) AND alone_lost_count + 1 >= %(max_lost)s)
    LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
), recorded AS (
    INSERT INTO {schema}.attempts (job_id, token, worker_id, reason, error, alone, claimed_at, started_at)
    SELECT id, token, worker_id, 'lost', %(error)s, alone, claimed_at, started_at FROM lost WHERE started
)
UPDATE {schema}.jobs AS j
SET state = 'pending', worker_id = NULL, ready_seq = nextval('{schema}.ready_seq'), rescued = true,
    lost_count = lost_count + lost.started::integer,
    alone_lost_count = alone_lost_count + (lost.started AND lost.alone)::integer,
    alone = CASE WHEN j.limit_group IS NULL THEN lost.suspected OR lost.alone END,
    limited_alone = CASE WHEN j.limit_group IS NOT NULL THEN lost.suspected OR lost.alone END,
    last_error = CASE WHEN lost.started THEN %(error)s ELSE last_error END
FROM lost WHERE j.id = lost.id
RETURNING j.id, j.queue, j.job_type, coalesce(j.alone, j.limited_alone) AS alone, j.limit_group IS NOT NULL AS limited
