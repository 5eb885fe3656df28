-- Takes id. Locks the event's row, and returns of what a job is made and whether it has one: of two replays the second sees the
-- first one's job.
SELECT source, key, headers, body, job_id FROM {schema}.webhook_events WHERE id = %(id)s FOR UPDATE
