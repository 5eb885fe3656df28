-- Takes worker_id. Returns job_id, reason, lives (false: the job has ended, the request may go), held (some worker's), mine (that
-- worker's) of each request. Locks nothing.
SELECT c.job_id, c.reason, j.id IS NOT NULL AS lives, j.worker_id IS NOT NULL AS held,
       coalesce(j.worker_id = %(worker_id)s, false) AS mine
FROM {schema}.cancel_requests AS c LEFT JOIN {schema}.jobs AS j ON j.id = c.job_id
ORDER BY j.worker_id IS NOT NULL AND j.worker_id <> %(worker_id)s, c.job_id  -- what there is to do first
LIMIT 1000
