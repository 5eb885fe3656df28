-- Takes session_id, last_id. Returns turn_id of each turn that the chat's messages up to that one ended. Locks nothing.
SELECT turn_id FROM {schema}.chat_message_history
WHERE session_id = %(session_id)s AND id <= %(last_id)s AND type <> 'human' AND turn_id IS NOT NULL
