-- Takes worker_id; ids, give_up_s, ready_seqs (arrays of equal length: the jobs, locked by job/limited_heads); slot_keys, slot_ns,
-- slot_jobs (arrays of equal length: their slots, locked by limit/acquire, and whose each is to be).
-- Returns the jobs claimed, with the columns of job/claim and `limited` (false: it only took its turn): all of them, or none, where a key is over its limit by
-- now.
-- Locks nothing more: the worker, its jobs and their slots are locked by statements before this one, in one transaction. A key
-- that was lowered before these slots were locked is seen to be over here; one that is lowered now waits for them. What operators'
-- pauses took since a job's last claim is added to its time to give up, as in job/claim.
WITH claimed AS (
    UPDATE {schema}.jobs AS j
    SET state = 'claimed', ready_seq = NULL, worker_id = %(worker_id)s, token = nextval('{schema}.token_seq'),
        claimed_at = clock_timestamp(), started_at = NULL,
        give_up_at = CASE WHEN j.give_up_at IS NULL THEN clock_timestamp() + make_interval(secs => given.give_up_s)
                     ELSE j.give_up_at + make_interval(secs => {schema}.paused_s(j.queue, j.job_type, j.claimed_at)) END
    FROM unnest((SELECT %(ids)s::bigint[]), (SELECT %(give_up_s)s::double precision[]), (SELECT %(ready_seqs)s::bigint[]))
         AS given (id, give_up_s, was_ready)
    WHERE j.id = given.id
      AND NOT EXISTS (SELECT FROM {schema}.limits AS l WHERE l.key = ANY((SELECT %(slot_keys)s::text[])::text[]) AND l.over)
    RETURNING j.*, given.was_ready
), held AS (
    UPDATE {schema}.limit_slots AS s SET job_id = claimed.id, token = claimed.token
    FROM unnest((SELECT %(slot_keys)s::text[]), (SELECT %(slot_ns)s::integer[]), (SELECT %(slot_jobs)s::bigint[]))
         AS given (key, n, job_id)
    JOIN claimed ON claimed.id = given.job_id
    WHERE s.key = given.key AND s.n = given.n
)
SELECT id, job_type, queue, priority, input::text, user_id, task_id, project_id, lane, token, retry_count, lost_count, rescued,
       created_at, claimed_at, give_up_at, was_ready AS ready_seq, parent_id, limits IS NOT NULL AS limited
FROM claimed
