-- Takes session_id, channel, user_id, agent_name, trial, account, claude_session_id. Makes a chat in which nothing was said; touches no row
-- where it is there already, after waiting for whoever is making it.
INSERT INTO {schema}.chat_sessions (session_id, channel, user_id, agent_name, trial, account, claude_session_id)
VALUES (%(session_id)s, %(channel)s, %(user_id)s, %(agent_name)s, %(trial)s, %(account)s, %(claude_session_id)s)
ON CONFLICT (session_id) DO NOTHING
