-- Takes delivery_ids, account, chat_id. Returns delivery_id, message_id, random_id of the messages that they were sent as in that chat, in the
-- order of their ids: in another one their numbers mean nothing. Locks nothing.
SELECT delivery_id, message_id, random_id FROM {schema}.telegram_messages
WHERE delivery_id = ANY(%(delivery_ids)s) AND account = %(account)s AND chat_id = %(chat_id)s
  AND direction = 'out' AND edit_date = '-infinity'
ORDER BY message_id
