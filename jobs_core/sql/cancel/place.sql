-- Takes id. Returns job_type, token, lane, parent_id of a job that lives and that no worker holds. Locks nothing.
SELECT job_type, token, lane, parent_id FROM {schema}.jobs WHERE id = %(id)s AND worker_id IS NULL
