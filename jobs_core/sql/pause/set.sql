-- Takes queue, job_type (null: whatever it is; not both), reason, set_by, and its end: time, or else delay_s from now, or neither.
-- Sets an operator's pause from now on. Returns it with the columns of Pause, or no row: that end has passed, nothing changed.
-- pause/lift comes before it in the transaction. Locks its row; where two race, the second waits, and the last word stands.
INSERT INTO {schema}.pauses AS p (queue, job_type, because, reason, set_by, until)
SELECT %(queue)s, %(job_type)s, 'operator', %(reason)s, %(set_by)s, due.at
FROM (SELECT coalesce(%(time)s::timestamptz, clock_timestamp() + make_interval(secs => %(delay_s)s))) AS due (at)
WHERE due.at IS NULL OR due.at > clock_timestamp()
ON CONFLICT (queue, job_type, (because = 'operator')) DO UPDATE
SET reason = excluded.reason, set_by = excluded.set_by, until = excluded.until
RETURNING queue, job_type, because, reason, set_by, started_at, until
