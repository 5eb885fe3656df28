-- Takes user_id. Returns preferences, to be changed in this transaction: its row, made where there is none, is locked. Of two who change some
-- of them the second sees what the first has written.
INSERT INTO {schema}.notification_preferences AS p (user_id, preferences) VALUES (%(user_id)s, '{}')
ON CONFLICT (user_id) DO UPDATE SET user_id = p.user_id
RETURNING preferences
