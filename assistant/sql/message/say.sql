-- Takes session_id, content, file_bytes, idempotency_key (or null). Adds a human message that no turn has bound yet. Returns id; no row: a
-- message with this key is in the chat.
-- Why it is right when two race: the second waits for the first one's commit, and then finds its message.
INSERT INTO {schema}.chat_message_history (session_id, type, content, file_bytes, idempotency_key)
VALUES (%(session_id)s, 'human', %(content)s, %(file_bytes)s, %(idempotency_key)s)
ON CONFLICT (session_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING id
