-- Takes message_id, file_ids. They came with the message, in this order.
INSERT INTO {schema}.message_media (message_id, nth, file_id)
SELECT %(message_id)s, f.nth, f.id FROM unnest(%(file_ids)s::bigint[]) WITH ORDINALITY AS f (id, nth)
