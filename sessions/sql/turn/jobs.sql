-- Takes ids of turns. Returns job_id of each job that began one of them. Locks nothing.
SELECT job_id FROM {schema}.turns WHERE id = ANY(%(ids)s::uuid[]) AND copy_of IS NULL
