-- Takes arrays of one length: session_ids, after_ids; most. Returns session_id, id, type (ai: answered, system: failed), content,
-- turn_id and answers (the ids of the human messages that the turn bound, in order) of the ends of turns in these chats whose ids
-- are higher, of each chat `most` at most, in order. Locks nothing.
-- Turns of a chat end one after another, in the chat's lane, so that no end comes later with a lower id.
SELECT said.session_id, said.id, said.type, said.content, said.turn_id, ARRAY(
    SELECT bound.id FROM {schema}.chat_message_history AS bound
    WHERE bound.turn_id = said.turn_id AND bound.type = 'human' ORDER BY bound.id
) AS answers
FROM unnest(%(session_ids)s::text[], %(after_ids)s::bigint[]) AS at (session_id, after_id)
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.chat_message_history AS m
    WHERE m.session_id = at.session_id AND m.id > at.after_id AND m.type IN ('ai', 'system') AND m.turn_id IS NOT NULL
    ORDER BY m.id LIMIT %(most)s
) AS said
ORDER BY said.session_id, said.id
