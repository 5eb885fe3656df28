-- Takes job_types, unique_keys (pairs), ids of jobs that idempotency keys stand for.
-- Returns id, job_type, unique_key (null: it holds none now), queue, ready, worker_id (it waits for that worker, and is ready for
-- it alone) of each of those jobs that lives.
-- Locks those that no worker holds, in the order of their ids, until the caller's transaction ends: a claim passes a locked job
-- over, so that a run which begins after sees whatever the caller wrote before. One that is held is not locked: its worker
-- would wait for this transaction to settle it, and others behind it; its run has begun, and no word is owed to it.
-- The lock is not taken in the look: where a claim or a settle was faster, it is waited for, and the job is left out: the
-- insert then meets its unique key, if it still has it, and the next round finds it held.
WITH wanted AS MATERIALIZED (
    SELECT unnest(%(ids)s::bigint[]) AS id
    UNION
    SELECT j.id
    FROM unnest(%(job_types)s::text[], %(unique_keys)s::text[]) AS g (job_type, unique_key)
    JOIN {schema}.jobs AS j USING (job_type, unique_key)
    WHERE j.unique_key IS NOT NULL AND (j.unique_while = 'unfinished' OR j.token IS NULL)
), free AS MATERIALIZED (
    SELECT j.id, j.job_type, j.unique_key, j.unique_while, j.token, j.queue, j.ready_seq, j.preferred_worker
    FROM wanted JOIN {schema}.jobs AS j USING (id)
    WHERE j.state NOT IN ('claimed', 'running')
    ORDER BY j.id
    FOR UPDATE OF j
), held AS (
    SELECT j.id, j.job_type, j.unique_key, j.unique_while, j.token, j.queue, j.ready_seq, j.preferred_worker
    FROM wanted JOIN {schema}.jobs AS j USING (id)
    WHERE j.state IN ('claimed', 'running')
)
SELECT id, job_type, CASE WHEN unique_while = 'unfinished' OR token IS NULL THEN unique_key END AS unique_key,
       queue, coalesce(ready_seq, preferred_worker) IS NOT NULL AS ready, preferred_worker AS worker_id
FROM (SELECT * FROM free UNION ALL SELECT * FROM held) AS living
