-- Takes job_id. The job has got money: it waits no more.
DELETE FROM {schema}.budget_waits WHERE job_id = %(job_id)s
