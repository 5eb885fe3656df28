-- Takes the columns of a notification. Returns id, created_at.
INSERT INTO {schema}.notifications (user_id, title, body, category, severity, metadata)
VALUES (%(user_id)s, %(title)s, %(body)s, %(category)s, %(severity)s, %(metadata)s::jsonb)
RETURNING id, created_at
