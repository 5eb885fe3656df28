-- Takes session_id and arrays of equal length: types, contents, turn_ids, times. Adds what was said elsewhere, in that order; it is
-- over, so that no turn takes it.
INSERT INTO {schema}.chat_message_history (session_id, type, content, turn_id, ended_at, created_at)
SELECT %(session_id)s, l.type, l.content, l.turn_id, CASE l.type WHEN 'human' THEN l.said_at END, l.said_at
FROM unnest(%(types)s::text[], %(contents)s::text[], %(turn_ids)s::uuid[], %(times)s::timestamptz[])
    WITH ORDINALITY AS l (type, content, turn_id, said_at, ordinal)
ORDER BY l.ordinal
