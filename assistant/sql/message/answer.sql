-- Takes session_id, message_id (null: the newest). Returns id, turn_id of that answer of the chat, or no row. Locks nothing.
SELECT id, turn_id FROM {schema}.chat_message_history
WHERE session_id = %(session_id)s AND type = 'ai' AND (%(message_id)s::bigint IS NULL OR id = %(message_id)s)
ORDER BY id DESC
LIMIT 1
