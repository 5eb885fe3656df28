-- Takes ids, history_id (null: nothing came of them), own_from. These wait no longer; what came of each, and from where on it is their
-- own words, is noted with what was received.
WITH taken AS (
    DELETE FROM {schema}.telegram_waiting WHERE id = ANY(%(ids)s::bigint[]) RETURNING account, chat_id, message_id
)
UPDATE {schema}.telegram_messages AS m SET history_id = %(history_id)s, own_from = %(own_from)s
FROM taken AS t
WHERE m.account = t.account AND m.chat_id = t.chat_id AND m.message_id = t.message_id AND m.history_id IS NULL
