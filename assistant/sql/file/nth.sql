-- Takes session_id, message_id, nth (1 is the first that message/history tells of). Returns the file of a message of that chat: media_type,
-- name (as its sender has it), size, content (null: it is in pieces), file_id (of those, else null), state; or no row. Locks nothing.
SELECT f.media_type, f.name, f.size, f.content, f.file_id, f.state
FROM {schema}.chat_message_history AS m
CROSS JOIN LATERAL (
    SELECT nth, media_type, name, octet_length(content)::bigint AS size, content, NULL::bigint AS file_id, 'here' AS state,
           false AS apart
    FROM {schema}.chat_files WHERE message_id = m.id
    UNION ALL
    SELECT c.nth, coalesce(a.media_type, 'application/octet-stream'), a.claimed_name, coalesce(a.bytes, a.claimed_bytes), NULL,
           a.id, a.state, true
    FROM {schema}.message_media AS c JOIN {schema}.media_files AS a ON a.id = c.file_id WHERE c.message_id = m.id
    ORDER BY apart, nth
    LIMIT 1 OFFSET %(nth)s - 1
) AS f
WHERE m.session_id = %(session_id)s AND m.id = %(message_id)s
