-- Takes id. Returns job_type, token, lane, parent_id of a job that lives. Locks nothing.
SELECT job_type, token, lane, parent_id FROM {schema}.jobs WHERE id = %(id)s
