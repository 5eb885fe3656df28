-- Takes user_id. Returns what they have said, as it was kept, and keeps it no longer. Of two that race the second finds nothing.
DELETE FROM {schema}.held_messages WHERE user_id = %(user_id)s
RETURNING id, channel, account, session_id, content, idempotency_key
