-- Takes session_id, limit, before_id. Returns the newest messages of the chat before that one, newest first; state is a human
-- message's only; files is what to say of each of its files. Locks nothing.
SELECT m.id, m.type, m.content, m.turn_id, m.created_at,
       CASE WHEN m.type <> 'human' THEN NULL
            WHEN m.ended_at IS NULL THEN 'waiting'
            WHEN EXISTS (SELECT FROM {schema}.chat_message_history AS a WHERE a.turn_id = m.turn_id AND a.type = 'ai')
                THEN 'answered'
            ELSE 'failed'
       END AS state,
       CASE WHEN m.file_bytes = 0 THEN '[]'::jsonb ELSE (
           SELECT jsonb_agg(
               jsonb_build_object('media_type', f.media_type, 'name', f.name, 'bytes', f.bytes) ORDER BY f.apart, f.nth)
           FROM (
               SELECT nth, media_type, name, octet_length(content) AS bytes, false AS apart
               FROM {schema}.chat_files WHERE message_id = m.id
               UNION ALL
               SELECT c.nth, coalesce(a.media_type, 'application/octet-stream'), a.claimed_name,
                      coalesce(a.bytes, a.claimed_bytes), true
               FROM {schema}.message_media AS c JOIN {schema}.media_files AS a ON a.id = c.file_id WHERE c.message_id = m.id
           ) AS f)
       END AS files
FROM {schema}.chat_message_history AS m
WHERE m.session_id = %(session_id)s AND m.id < %(before_id)s
ORDER BY m.id DESC
LIMIT %(limit)s
