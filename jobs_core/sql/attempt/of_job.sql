-- Takes job_id, since (when the job was created: no attempt ended before). Returns its attempts that did not complete, the
-- first one first, with the columns of Attempt. Locks nothing. Sent unprepared, as history/newest.
SELECT token, reason, error, worker_id, alone, claimed_at, started_at, ended_at
FROM {schema}.attempts WHERE job_id = %(job_id)s AND ended_at >= %(since)s::timestamptz
ORDER BY ended_at, token
