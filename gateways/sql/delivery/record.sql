-- Takes account, chat_id, topic_id, session_id, delivery_id, and arrays of one length: message_ids, random_ids. Notes as what messages a
-- delivery went out. One that was heard of before, by an update, becomes the delivery's: of two that race the second waits, and
-- updates.
INSERT INTO {schema}.telegram_messages
    (account, chat_id, message_id, direction, topic_id, session_id, delivery_id, random_id)
SELECT %(account)s, %(chat_id)s, sent.message_id, 'out', %(topic_id)s, %(session_id)s, %(delivery_id)s, sent.random_id
FROM unnest(%(message_ids)s::int[], %(random_ids)s::bigint[]) AS sent (message_id, random_id)
ON CONFLICT (account, chat_id, message_id, edit_date)
DO UPDATE SET direction = 'out', session_id = excluded.session_id, delivery_id = excluded.delivery_id, random_id = excluded.random_id
