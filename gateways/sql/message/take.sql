-- Takes account, chat_id, message_ids, edit_date, sender_id, topic_id, album, session_id, history_id, own_from, user_id. Notes that these
-- messages of a person are taken in, and where their chat session lies. Raises a unique violation where one of them was taken meanwhile:
-- then the whole transaction is repeated, and finds it.
WITH taken AS (
    INSERT INTO {schema}.telegram_messages
           (account, chat_id, message_id, edit_date, direction, sender_id, topic_id, grouped_id, session_id, history_id, own_from)
    SELECT %(account)s, %(chat_id)s, n, %(edit_date)s, 'in', %(sender_id)s, %(topic_id)s, %(album)s, %(session_id)s, %(history_id)s, %(own_from)s
    FROM unnest(%(message_ids)s::int[]) AS n
    RETURNING message_id
)
INSERT INTO {schema}.telegram_chats AS c (session_id, account, chat_id, topic_id, user_id, reply_to)
SELECT %(session_id)s, %(account)s, %(chat_id)s, %(topic_id)s, %(user_id)s, max(message_id) FROM taken
ON CONFLICT (session_id) DO UPDATE SET reply_to = greatest(c.reply_to, excluded.reply_to), user_id = excluded.user_id
