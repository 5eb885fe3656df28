-- Takes user_id, into. What of the one waits is the other's, and what the one has said of notifications, unless the other has. Under user/lock.
WITH given AS (
    UPDATE {schema}.waiting_notifications SET user_id = %(into)s WHERE user_id = %(user_id)s
), said AS (
    DELETE FROM {schema}.notification_preferences WHERE user_id = %(user_id)s RETURNING preferences
)
INSERT INTO {schema}.notification_preferences (user_id, preferences) SELECT %(into)s, preferences FROM said
ON CONFLICT (user_id) DO NOTHING
