-- Takes job_type, state, worker_id of a job that left no history. Counts it. Locks the worker's own row of the day.
INSERT INTO {schema}.ended_counts AS c (day, job_type, state, worker_id, n)
VALUES ((clock_timestamp() AT TIME ZONE 'UTC')::date, %(job_type)s, %(state)s, %(worker_id)s, 1)
ON CONFLICT (day, job_type, state, worker_id) DO UPDATE SET n = c.n + 1
