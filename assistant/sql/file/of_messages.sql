-- Takes ids of messages. Returns message_id, after_chars, media_type, name, content of their files, in their order. Locks nothing.
SELECT message_id, after_chars, media_type, name, content FROM {schema}.chat_files
WHERE message_id = ANY(%(ids)s::bigint[])
ORDER BY message_id, nth
