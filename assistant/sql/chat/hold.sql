-- Takes session_id. Returns claude_session_id of the chat, or no row. Locks the chat FOR SHARE until the caller's transaction ends:
-- a turn that begins and a stop or reset (chat/lock) see each other, whichever comes first.
SELECT claude_session_id FROM {schema}.chat_sessions WHERE session_id = %(session_id)s FOR SHARE
