-- Takes delivery_id. Returns chat_id of the chat in which it stands, or no row: it is not known to stand anywhere. Locks nothing.
SELECT chat_id FROM {schema}.telegram_messages WHERE delivery_id = %(delivery_id)s AND direction = 'out' LIMIT 1
