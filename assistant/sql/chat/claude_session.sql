-- Takes session_id. Returns claude_session_id of the chat, or no row: there is no such chat.
SELECT claude_session_id FROM {schema}.chat_sessions WHERE session_id = %(session_id)s
