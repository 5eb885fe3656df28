-- Takes worker_id, ids (the jobs that this worker knows it runs). Puts back what it holds besides: taken by a claim whose answer
-- was lost, or left by a run that broke. Returns id, queue of each.
-- Locks the jobs. The caller has no claim under way, or it would take back what that one is taking. As in job/rescue, only
-- runs that had started are charged.
UPDATE {schema}.jobs
SET state = 'pending', worker_id = NULL, ready_seq = nextval('{schema}.ready_seq'), rescued = true,
    lost_count = lost_count + (state = 'running')::integer
WHERE worker_id = %(worker_id)s AND id <> ALL(%(ids)s::bigint[])
RETURNING id, queue
