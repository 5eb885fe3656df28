-- Takes account, chat_id, topic_id, message_id, sender_name, content, most. Keeps what was said to nobody of ours, and forgets what is
-- older than the last `most` there.
WITH older AS (
    DELETE FROM {schema}.telegram_overheard
    WHERE account = %(account)s AND chat_id = %(chat_id)s AND topic_id = %(topic_id)s AND message_id < coalesce((
        SELECT min(message_id) FROM (
            SELECT message_id FROM {schema}.telegram_overheard
            WHERE account = %(account)s AND chat_id = %(chat_id)s AND topic_id = %(topic_id)s AND message_id <> %(message_id)s
            ORDER BY message_id DESC LIMIT %(most)s - 1
        ) AS kept), %(message_id)s)
)
INSERT INTO {schema}.telegram_overheard AS o (account, chat_id, topic_id, message_id, sender_name, content)
VALUES (%(account)s, %(chat_id)s, %(topic_id)s, %(message_id)s, %(sender_name)s, %(content)s)
ON CONFLICT (account, chat_id, topic_id, message_id) DO UPDATE SET content = excluded.content
