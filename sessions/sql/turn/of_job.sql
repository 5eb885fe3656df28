-- Takes job_id. Returns id, session_id, job_id, started_at, ended_at of the newest turn that this job began, or no row.
SELECT id, session_id, job_id, started_at, ended_at FROM {schema}.turns
WHERE job_id = %(job_id)s
ORDER BY started_at DESC
LIMIT 1
