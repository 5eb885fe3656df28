-- Takes worker_ids (of workers that are gone: worker/gone), batch, max_lost. Puts back the jobs they hold; those that were
-- started once too often are left for job/crashed. Returns id, queue of each.
-- Locks the jobs, skipping those that another rescue has. They keep their place in their lanes, so no lane is locked.
-- Right against the old worker: its settle needs the state that this takes away, and its token is drawn afresh at the next
-- claim. Right against a living one: the ids are given, not joined, so that a row which another rescue and a claim have
-- changed since is looked at again by its new holder (a join's other side is not looked up again under the lock).
WITH lost AS MATERIALIZED (
    SELECT id FROM {schema}.jobs
    WHERE worker_id = ANY(%(worker_ids)s::bigint[]) AND NOT (state = 'running' AND lost_count + 1 >= %(max_lost)s)
    LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.jobs AS j
SET state = 'pending', worker_id = NULL, ready_seq = nextval('{schema}.ready_seq'), rescued = true,
    lost_count = lost_count + (state = 'running')::integer,
    last_error = CASE WHEN state = 'running' THEN 'lost: its worker died or froze' ELSE last_error END
FROM lost WHERE j.id = lost.id
RETURNING j.id, j.queue
