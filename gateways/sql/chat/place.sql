-- Takes session_id. Returns where a chat session lies: account, chat_id, topic_id, reply_to, and access_hash, null where none is known.
SELECT c.account, c.chat_id, c.topic_id, c.reply_to, p.access_hash
FROM {schema}.telegram_chats AS c LEFT JOIN {schema}.telegram_peers AS p ON p.account = c.account AND p.peer_id = c.chat_id
WHERE c.session_id = %(session_id)s
