-- Takes session_id. The chat takes no more messages. Its row is locked already (chat/lock), as by whoever takes a message in.
UPDATE {schema}.chat_sessions SET is_active = false WHERE session_id = %(session_id)s
