-- Takes session_id (of the copy), channel, user_id, agent_name, title, claude_session_id. Makes a chat.
INSERT INTO {schema}.chat_sessions (session_id, channel, user_id, agent_name, title, claude_session_id)
VALUES (%(session_id)s, %(channel)s, %(user_id)s, %(agent_name)s, %(title)s, %(claude_session_id)s)
