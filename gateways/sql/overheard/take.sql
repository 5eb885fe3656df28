-- Takes account, chat_id, topic_id, before. Forgets what was said there before a message to nobody of ours, and returns it: sender_name,
-- content, message_id, in no order. What is taken for one message is told to no other.
DELETE FROM {schema}.telegram_overheard
WHERE account = %(account)s AND chat_id = %(chat_id)s AND topic_id = %(topic_id)s AND message_id < %(before)s
RETURNING message_id, sender_name, content
