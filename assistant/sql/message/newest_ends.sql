-- Takes session_ids, most. Returns session_id, id, turn_id of the newest ends of turns in these chats, of each chat `most` at most.
-- Locks nothing.
SELECT said.session_id, said.id, said.turn_id
FROM unnest(%(session_ids)s::text[]) AS at (session_id)
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.chat_message_history AS m
    WHERE m.session_id = at.session_id AND m.type IN ('ai', 'system') AND m.turn_id IS NOT NULL
    ORDER BY m.id DESC LIMIT %(most)s
) AS said
