-- Takes session_ids. Returns session_id, account, kind, chat_id, topic_id, reply_to, access_hash (null: none is known) of those chat
-- sessions that are at Telegram. Locks nothing.
SELECT c.session_id, c.account, a.kind, c.chat_id, c.topic_id, c.reply_to, p.access_hash
FROM {schema}.telegram_chats AS c
JOIN {schema}.telegram_accounts AS a ON a.name = c.account
LEFT JOIN {schema}.telegram_peers AS p ON p.account = c.account AND p.peer_id = c.chat_id
WHERE c.session_id = ANY(%(session_ids)s)
