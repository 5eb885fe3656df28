-- Takes keys, whose slots the caller has locked in a statement before this one (slot/lock). Frees those that are held by a claim
-- that is no more; touches a row for each. A claim takes its jobs and their slots in one statement, so that this one sees both.
UPDATE {schema}.limit_slots AS s SET job_id = NULL, token = NULL
WHERE s.key = ANY(%(keys)s::text[]) AND s.job_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.id = s.job_id AND j.token = s.token AND j.worker_id IS NOT NULL)
