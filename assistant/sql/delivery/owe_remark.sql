-- Takes session_id, message_id, payload, random_id. Owes a remark to whoever began the chat. Returns id, channel, account, chat,
-- user_id; no row for a chat of the web, which reads its history, or of a schedule, whose person is told otherwise.
INSERT INTO {schema}.deliveries (owed_for, channel, account, chat, user_id, kind, payload, random_id)
SELECT 'remark:' || %(message_id)s::bigint, channel, account, session_id, user_id, 'notification', %(payload)s::jsonb, %(random_id)s
FROM {schema}.chat_sessions
WHERE session_id = %(session_id)s AND channel NOT IN ('web', 'scheduled')
ON CONFLICT (owed_for) DO NOTHING
RETURNING id, channel, account, chat, user_id
