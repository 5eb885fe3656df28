-- Takes worker_id, ids (the jobs that this worker knows it runs), error, suspected, unsuspected (names of job types). Puts back
-- what it holds besides: taken by a claim whose answer was lost, or left by a run that broke. Returns id, queue, job_type, alone,
-- limited of each; the slots that they hold are freed after it, in the same transaction (slot/free).
-- Locks the jobs. The caller has no claim under way, or it would take back what that one is taking. As in job/rescue, only
-- runs that had started are charged and recorded, and suspected where that is wanted and their type is none of those. Only
-- workers that run no suspects ask, so no job is ended here.
WITH strays AS MATERIALIZED (
    SELECT id, token, worker_id, state = 'running' AS started, coalesce(alone, limited_alone) AS alone, claimed_at, started_at,
           state = 'running' AND %(suspected)s AND job_type <> ALL(%(unsuspected)s::text[]) AS suspected
    FROM {schema}.jobs
    WHERE worker_id = %(worker_id)s AND id <> ALL(%(ids)s::bigint[])
    FOR UPDATE
), recorded AS (
    INSERT INTO {schema}.attempts (job_id, token, worker_id, reason, error, alone, claimed_at, started_at)
    SELECT id, token, worker_id, 'lost', %(error)s, alone, claimed_at, started_at FROM strays WHERE started
)
UPDATE {schema}.jobs AS j
SET state = 'pending', worker_id = NULL, ready_seq = nextval('{schema}.ready_seq'), rescued = true,
    lost_count = lost_count + strays.started::integer,
    alone = CASE WHEN j.limit_group IS NULL THEN strays.suspected OR strays.alone END,
    limited_alone = CASE WHEN j.limit_group IS NOT NULL THEN strays.suspected OR strays.alone END,
    last_error = CASE WHEN strays.started THEN %(error)s ELSE last_error END
FROM strays WHERE j.id = strays.id
RETURNING j.id, j.queue, j.job_type, coalesce(j.alone, j.limited_alone) AS alone, j.limit_group IS NOT NULL AS limited
