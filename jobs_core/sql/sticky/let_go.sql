-- Takes worker_id. The jobs that wait for this worker are ready for all. Returns queue, job_type of each. Locks them.
UPDATE {schema}.jobs AS j SET ready_seq = nextval('{schema}.ready_seq'), preferred_worker = NULL
WHERE j.preferred_worker = %(worker_id)s
RETURNING j.queue, j.job_type
