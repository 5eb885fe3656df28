-- Takes account, chat_id, message_id. Returns what is known of a message, its newest version first: edit_date (null: the first), direction, session_id,
-- history_id, own_from, delivery_id, and is_last, whether it is the last one of ours in that chat and topic.
SELECT nullif(m.edit_date, '-infinity') AS edit_date, m.direction, m.session_id, m.history_id, m.own_from, m.delivery_id,
       m.direction = 'out' AND NOT EXISTS (
           SELECT FROM {schema}.telegram_messages AS later
           WHERE later.account = m.account AND later.chat_id = m.chat_id AND later.message_id > m.message_id
             AND later.direction = 'out' AND later.topic_id = m.topic_id
       ) AS is_last
FROM {schema}.telegram_messages AS m
WHERE m.account = %(account)s AND m.chat_id = %(chat_id)s AND m.message_id = %(message_id)s
ORDER BY m.edit_date DESC
