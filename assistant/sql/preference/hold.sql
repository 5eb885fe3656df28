-- Takes user_id. Returns preferences; no row: nothing was said. Locks the row against a change until the caller's transaction ends: what
-- is told by the old ones is written before the new ones are there, and whoever stores those sees it.
SELECT preferences FROM {schema}.notification_preferences WHERE user_id = %(user_id)s FOR SHARE
