-- Takes ids of ended jobs. Returns job_id, successor_id of those that were redriven. Locks nothing: the caller has them locked.
SELECT job_id, successor_id FROM {schema}.redrives WHERE job_id = ANY(%(ids)s::bigint[])
