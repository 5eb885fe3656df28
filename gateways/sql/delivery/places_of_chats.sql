-- Takes session_ids. Returns session_id, account, kind, chat_id, topic_id, reply_to, access_hash (null: none is known) of those chat
-- sessions that are at Telegram; but of no private one whose number is not its person's any more (it was unlinked): whoever has that now would
-- read what is theirs. Locks nothing.
SELECT c.session_id, c.account, a.kind, c.chat_id, c.topic_id, c.reply_to, p.access_hash
FROM {schema}.telegram_chats AS c
JOIN {schema}.telegram_accounts AS a ON a.name = c.account
LEFT JOIN {schema}.telegram_peers AS p ON p.account = c.account AND p.peer_id = c.chat_id
WHERE c.session_id = ANY(%(session_ids)s) AND (c.chat_id < 0 OR NOT EXISTS (
    SELECT FROM {schema}.chat_sessions AS s JOIN {schema}.users AS u ON u.id = s.user_id
    WHERE s.session_id = c.session_id AND NOT EXISTS (
        SELECT FROM {schema}.user_channels AS own
        WHERE own.channel = 'telegram' AND own.address = c.chat_id::text AND own.user_id = coalesce(u.merged_into, u.id)
    )
))
