-- Takes ids, history_id (null: nothing came of them). These wait no longer; what came of each is noted with what was received.
WITH taken AS (
    DELETE FROM {schema}.telegram_waiting WHERE id = ANY(%(ids)s::bigint[])
    RETURNING account, chat_id, message_id, edit_date
)
UPDATE {schema}.telegram_messages AS m SET history_id = %(history_id)s
FROM taken AS t
WHERE m.account = t.account AND m.chat_id = t.chat_id AND m.message_id = t.message_id AND m.edit_date = t.edit_date
