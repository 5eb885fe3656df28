-- Takes arrays of one length: topics, and tokens, seqs (how far the caller has come in each); most. Returns topic, token, seq,
-- turn_id, events of what was written after that, of each topic `most` rows at most, in order. Locks nothing.
-- A topic's rows are committed in the order of (token, seq) (live/write), so that nothing comes later from before that place.
SELECT l.topic, l.token, l.seq, l.turn_id, l.events
FROM unnest(%(topics)s::text[], %(tokens)s::bigint[], %(seqs)s::bigint[]) AS at (topic, token, seq)
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.live_events AS l
    WHERE l.topic = at.topic AND (l.token, l.seq) > (at.token, at.seq)
    ORDER BY l.token, l.seq LIMIT %(most)s
) AS l
ORDER BY l.topic, l.token, l.seq
