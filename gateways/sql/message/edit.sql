-- Takes account, chat_id, message_id, edit_date, sender_id, topic_id, session_id, history_id, own_from. Notes a later version of a message that
-- is known, and what was made of it; one of the same second, which is all that Telegram tells of the time, takes the place of the other.
INSERT INTO {schema}.telegram_messages
       (account, chat_id, message_id, edit_date, direction, sender_id, topic_id, session_id, history_id, own_from)
VALUES (%(account)s, %(chat_id)s, %(message_id)s, %(edit_date)s, 'in', %(sender_id)s, %(topic_id)s, %(session_id)s, %(history_id)s, %(own_from)s)
ON CONFLICT (account, chat_id, message_id, edit_date) DO UPDATE SET history_id = excluded.history_id, own_from = excluded.own_from
