-- Takes lines. Returns session_id of the chats in which a turn ended, as far as the newest `lines` lines of all chats tell.
-- Locks nothing. An end may be committed after lines with higher ids: of one that took long nothing is heard here.
SELECT DISTINCT session_id FROM (
    SELECT session_id, type FROM {schema}.chat_message_history ORDER BY id DESC LIMIT %(lines)s
) AS newest
WHERE type IN ('ai', 'system')
