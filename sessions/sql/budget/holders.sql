-- Returns turn_id, token, job_id of each run that holds something. Locks nothing.
SELECT DISTINCT turn_id, token, job_id FROM {schema}.budget_holds ORDER BY token
