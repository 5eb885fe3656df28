-- Takes session_id. Returns agent, user_id, channel of a chat whose turn ended, and trial. Locks nothing.
SELECT agent_name AS agent, user_id, channel, trial FROM {schema}.chat_sessions WHERE session_id = %(session_id)s
