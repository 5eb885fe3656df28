-- Takes session_id, type (ai, system), content, turn_id (null: no turn ended). Adds what a turn ended with. A second end of the
-- same turn violates chat_message_history_end, whoever writes it. Returns agent: that of the chat.
INSERT INTO {schema}.chat_message_history (session_id, type, content, turn_id)
VALUES (%(session_id)s, %(type)s, %(content)s, %(turn_id)s)
RETURNING (SELECT agent_name FROM {schema}.chat_sessions WHERE session_id = %(session_id)s) AS agent
