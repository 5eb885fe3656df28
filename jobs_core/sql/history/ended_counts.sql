-- Takes job_type, state, since, until (days, both included; null: any of them). Returns day, job_type, state, n of jobs that left
-- no history, newest day first. Locks nothing; reads them all: a row a day, type, state and worker.
SELECT day, job_type, state, sum(n)::bigint AS n
FROM {schema}.ended_counts
WHERE (%(job_type)s::text IS NULL OR job_type = %(job_type)s) AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(since)s::date IS NULL OR day >= %(since)s) AND (%(until)s::date IS NULL OR day <= %(until)s)
GROUP BY day, job_type, state
ORDER BY day DESC, job_type, state
