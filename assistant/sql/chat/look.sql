-- Takes session_id. Returns the chat: session_id, channel, user_id, agent_name, title, is_active, created_at, claude_session_id; or no
-- row. Locks nothing.
SELECT session_id, channel, user_id, agent_name, title, is_active, created_at, claude_session_id
FROM {schema}.chat_sessions WHERE session_id = %(session_id)s
