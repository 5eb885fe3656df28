-- Takes queue, job_type (null: whatever it is), because, reason, set_by (of the outcome of a run), and its end: time or else delay_s
-- from now. They stand paused until then, or until what an outcome before it said, whichever is later. A time that has passed sets nothing.
-- Locks its row until the settling transaction ends, which locks after it only what the job leaves: its slots, its lane's next, its
-- parent's word. A later outcome waits for that.
INSERT INTO {schema}.pauses AS p (queue, job_type, because, reason, set_by, until)
SELECT %(queue)s, %(job_type)s, %(because)s, %(reason)s, %(set_by)s, due.at
FROM (SELECT coalesce(%(time)s::timestamptz, clock_timestamp() + make_interval(secs => %(delay_s)s))) AS due (at)
WHERE due.at > clock_timestamp()
ON CONFLICT (queue, job_type, (because = 'operator')) DO UPDATE
SET because = excluded.because, reason = excluded.reason, set_by = excluded.set_by, until = excluded.until,
    started_at = CASE WHEN p.until > now() THEN p.started_at ELSE excluded.started_at END
WHERE p.until < excluded.until
