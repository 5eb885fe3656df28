-- Takes session_id, turn_id, kind (answer, failure), payload, random_id. Owes a turn's end to whoever began the chat. Returns id,
-- channel, account, chat, user_id; no row for a chat of the web, which reads its history, or of a schedule, whose
-- person is told otherwise, nor where this end is owed already.
INSERT INTO {schema}.deliveries (owed_for, channel, account, chat, user_id, kind, payload, random_id, turn_id)
SELECT 'turn:' || %(turn_id)s::uuid, channel, account, session_id, user_id, %(kind)s, %(payload)s::jsonb, %(random_id)s, %(turn_id)s
FROM {schema}.chat_sessions
WHERE session_id = %(session_id)s AND channel NOT IN ('web', 'scheduled')
ON CONFLICT (owed_for) DO NOTHING
RETURNING id, channel, account, chat, user_id
