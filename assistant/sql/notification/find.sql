-- Takes id. Returns the notification, or no row. Locks nothing.
SELECT id, user_id, title, body, category, severity, read, metadata, created_at, seq
FROM {schema}.notifications WHERE id = %(id)s
