-- Takes session_id, channel. Returns claude_session_id, is_active; no row: that channel has no such chat.
-- Locks the chat FOR SHARE until the caller's transaction ends, so that a message is never added to a chat that is being
-- closed: closing updates the row and waits, or came first and is seen.
SELECT claude_session_id, is_active FROM {schema}.chat_sessions
WHERE session_id = %(session_id)s AND channel = %(channel)s
FOR SHARE
