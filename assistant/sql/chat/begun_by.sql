-- Takes session_id. Returns user_id (null: begun before there were users), agent_name of the chat; no row: no such chat.
SELECT user_id, agent_name FROM {schema}.chat_sessions WHERE session_id = %(session_id)s
