-- Takes account and arrays of one length, an element a message of a private chat: chat_ids, message_ids, sender_ids, session_ids, history_ids,
-- user_ids. Notes that these are taken in, each as that line of its chat, and where their chat sessions lie. Raises a unique
-- violation as message/take does.
WITH said AS MATERIALIZED (
    SELECT * FROM unnest(%(chat_ids)s::bigint[], %(message_ids)s::int[], %(sender_ids)s::bigint[], %(session_ids)s::text[],
                         %(history_ids)s::bigint[], %(user_ids)s::text[])
                  AS s (chat_id, message_id, sender_id, session_id, history_id, user_id)
), taken AS (
    INSERT INTO {schema}.telegram_messages (account, chat_id, message_id, direction, sender_id, session_id, history_id)
    SELECT %(account)s, chat_id, message_id, 'in', sender_id, session_id, history_id FROM said
)
INSERT INTO {schema}.telegram_chats AS c (session_id, account, chat_id, user_id, reply_to)
SELECT session_id, %(account)s, chat_id, user_id, max(message_id) FROM said GROUP BY session_id, chat_id, user_id ORDER BY session_id
ON CONFLICT (session_id) DO UPDATE SET reply_to = greatest(c.reply_to, excluded.reply_to), user_id = excluded.user_id
