-- Returns queue, job_type, state, n, oldest_s of living jobs. Locks nothing; reads them all.
SELECT queue, job_type, CASE WHEN state = 'pending' AND ready_seq IS NULL THEN 'scheduled' ELSE state END AS state,
       count(*) AS n, extract(epoch FROM clock_timestamp() - min(created_at))::double precision AS oldest_s
FROM {schema}.jobs
GROUP BY 1, 2, 3
