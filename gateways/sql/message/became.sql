-- Takes account, chat_id, message_ids, history_id, own_from. Notes which message of its chat they have become, and from where on that is
-- their own words.
UPDATE {schema}.telegram_messages SET history_id = %(history_id)s, own_from = %(own_from)s
WHERE account = %(account)s AND chat_id = %(chat_id)s AND message_id = ANY(%(message_ids)s::integer[]) AND history_id IS NULL
