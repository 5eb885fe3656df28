-- Takes worker_id. The jobs that wait for this worker are ready for all. Returns queue, job_type of each. Locks them.
-- None that is ready, or was claimed: previous code promotes and claims without a word to preferred_worker.
UPDATE {schema}.jobs AS j SET ready_seq = nextval('{schema}.ready_seq'), preferred_worker = NULL
WHERE j.preferred_worker = %(worker_id)s AND j.ready_seq IS NULL AND j.token IS NULL
RETURNING j.queue, j.job_type
