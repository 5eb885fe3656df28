-- Takes id. Deletes the request: its job has ended.
DELETE FROM {schema}.cancel_requests WHERE job_id = %(id)s
