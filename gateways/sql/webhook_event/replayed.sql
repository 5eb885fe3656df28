-- Takes id, result, error, job_id: what a replay made of the event, whose row the caller has locked.
UPDATE {schema}.webhook_events
SET result = %(result)s, error = %(error)s, job_id = %(job_id)s, replayed_at = clock_timestamp()
WHERE id = %(id)s
