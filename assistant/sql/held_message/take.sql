-- Takes user_id, arrivals (those that their door keeps, too). Returns what they have said, as it was kept, and keeps it no longer; what a door
-- keeps of it goes with it, and what is known of its files. Of two that race the second finds nothing.
WITH taken AS (
    DELETE FROM {schema}.held_messages WHERE user_id = %(user_id)s AND (%(arrivals)s OR arrival_id IS NULL)
    RETURNING id, channel, account, session_id, content, idempotency_key, arrival_id, file_ids
), files AS (
    DELETE FROM {schema}.media_files WHERE id IN (SELECT unnest(file_ids) FROM taken)
)
SELECT id, channel, account, session_id, content, idempotency_key, arrival_id FROM taken
