-- Takes delivery_ids. Returns delivery_id, message_id, random_id of the messages that they were sent as, in the order of their ids. Locks
-- nothing.
SELECT delivery_id, message_id, random_id FROM {schema}.telegram_messages
WHERE delivery_id = ANY(%(delivery_ids)s) AND direction = 'out' AND edit_date = '-infinity'
ORDER BY message_id
