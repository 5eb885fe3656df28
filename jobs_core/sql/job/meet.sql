-- Takes job_types, unique_keys (pairs), ids of jobs that idempotency keys stand for.
-- Returns id, job_type, unique_key (null: it holds none now), queue, ready of each of those jobs that lives.
-- Locks them, in the order of their ids, until the caller's transaction ends: a claim passes a locked job over, so that a run
-- which begins after sees whatever the caller wrote before. The lock is not taken in the look: where a claim or a settle was
-- faster, it is waited for, and what is returned is the job's newest version, or nothing.
WITH wanted AS MATERIALIZED (
    SELECT unnest(%(ids)s::bigint[]) AS id
    UNION
    SELECT j.id
    FROM unnest(%(job_types)s::text[], %(unique_keys)s::text[]) AS g (job_type, unique_key)
    JOIN {schema}.jobs AS j USING (job_type, unique_key)
    WHERE j.unique_key IS NOT NULL AND (j.unique_while = 'unfinished' OR j.token IS NULL)
)
SELECT j.id, j.job_type, CASE WHEN j.unique_while = 'unfinished' OR j.token IS NULL THEN j.unique_key END AS unique_key,
       j.queue, j.ready_seq IS NOT NULL AS ready
FROM wanted JOIN {schema}.jobs AS j USING (id)
ORDER BY j.id
FOR UPDATE OF j
