-- Takes worker_ids (of workers that are gone), max_lost, batch. Returns id, token, lane, parent_id, limited, job_type of started jobs
-- that were lost for the max_lost-th time while alone: they end here. Locks nothing; the caller ends each with its lane, fenced by
-- that token.
SELECT id, token, lane, parent_id, limit_group IS NOT NULL AS limited, job_type FROM {schema}.jobs
WHERE worker_id = ANY(%(worker_ids)s::bigint[])
  AND state = 'running' AND coalesce(alone, limited_alone) AND alone_lost_count + 1 >= %(max_lost)s
LIMIT %(batch)s
