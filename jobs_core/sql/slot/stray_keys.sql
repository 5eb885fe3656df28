-- Returns key of those of which a slot is held by a claim that is no more, once each. Locks nothing.
SELECT DISTINCT s.key FROM {schema}.limit_slots AS s
WHERE s.job_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.id = s.job_id AND j.token = s.token AND j.worker_id IS NOT NULL)
