-- Takes user_id, preferences. Replaces what was said. Waits for those that hold the row.
INSERT INTO {schema}.notification_preferences AS p (user_id, preferences) VALUES (%(user_id)s, %(preferences)s::jsonb)
ON CONFLICT (user_id) DO UPDATE SET preferences = excluded.preferences, updated_at = clock_timestamp()
