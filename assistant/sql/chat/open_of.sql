-- Takes channel and arrays of one length: session_ids, user_ids. Returns session_id of those chats that are there, that this user began, and
-- that take messages. One that somebody began who turned out to be this user is not told (chat/find does).
-- Locks them FOR SHARE until the caller's transaction ends, as chat/find does: closing waits, or came first and is seen.
SELECT c.session_id
FROM {schema}.chat_sessions AS c
JOIN unnest(%(session_ids)s::text[], %(user_ids)s::text[]) AS said (session_id, user_id) USING (session_id)
WHERE c.channel = %(channel)s AND c.is_active AND c.user_id = said.user_id
FOR SHARE OF c
