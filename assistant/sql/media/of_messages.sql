-- Takes ids of messages. Returns message_id, and the files that came with them, in their order. Locks nothing.
SELECT m.message_id, f.id, f.user_id, f.kind, f.claimed_name, f.claimed_bytes, f.seconds, f.state, f.said, f.name, f.media_type, f.bytes
FROM {schema}.message_media AS m JOIN {schema}.media_files AS f ON f.id = m.file_id
WHERE m.message_id = ANY(%(ids)s::bigint[])
ORDER BY m.message_id, m.nth
