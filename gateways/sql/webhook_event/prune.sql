-- Takes kept_s, batch. Deletes at most that many events that came longer ago. Those that a replay holds are passed by.
DELETE FROM {schema}.webhook_events WHERE id IN (
    SELECT id FROM {schema}.webhook_events
    WHERE received_at < now() - make_interval(secs => %(kept_s)s)
    ORDER BY received_at LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
)
