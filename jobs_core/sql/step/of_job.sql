-- Takes job_id. Returns name, state, output of what its runs have come to so far. Locks nothing.
SELECT name, state, output FROM {schema}.steps WHERE job_id = %(job_id)s
