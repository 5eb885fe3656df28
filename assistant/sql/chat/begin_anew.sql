-- Takes session_id, claude_session_id. Gives the chat another Claude session; what was said in it stays.
-- Locks the chat; a message that is being taken in (chat/find) is waited for.
UPDATE {schema}.chat_sessions SET claude_session_id = %(claude_session_id)s WHERE session_id = %(session_id)s
