-- Takes id, channel, account, chat (null: the person's own). Says how a delivery goes that had no channel. Returns id, channel,
-- account, chat, user_id; no row where there is none, or it has a channel. Of two that race the second finds it addressed.
UPDATE {schema}.deliveries SET channel = %(channel)s, account = %(account)s, chat = coalesce(%(chat)s, chat)
WHERE id = %(id)s AND channel IS NULL AND state = 'owed'
RETURNING id, channel, account, chat, user_id
