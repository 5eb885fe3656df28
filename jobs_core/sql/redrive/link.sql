-- Takes arrays of equal length: ids of ended jobs, which the caller has locked in history, and the new jobs that do them again.
-- Each of the new ones names the old one, and the old one's successor is known. Locks the new jobs, which are the caller's own.
-- Each array stands in a SELECT, so that the planner does not see its length: for hundreds it would rather read a small table whole.
WITH known AS (
    INSERT INTO {schema}.redrives AS r (job_id, successor_id)
    SELECT * FROM unnest(%(ids)s::bigint[], %(successor_ids)s::bigint[])
    ON CONFLICT (job_id) DO UPDATE SET successor_id = excluded.successor_id, redriven_at = excluded.redriven_at
)
UPDATE {schema}.jobs AS j SET retry_of = given.job_id
FROM unnest((SELECT %(ids)s::bigint[]), (SELECT %(successor_ids)s::bigint[])) AS given (job_id, successor_id)
WHERE j.id = given.successor_id
