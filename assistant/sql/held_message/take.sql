-- Takes user_id, arrivals (those that their door keeps, too). Returns what they have said, as it was kept, and keeps it no longer; what a door
-- keeps of it goes with it. Of two that race the second finds nothing.
DELETE FROM {schema}.held_messages WHERE user_id = %(user_id)s AND (%(arrivals)s OR arrival_id IS NULL)
RETURNING id, channel, account, session_id, content, idempotency_key, arrival_id
