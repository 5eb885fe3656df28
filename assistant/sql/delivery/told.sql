-- Takes chat, turn_id, chars. Returns kind, text (so many characters of it), state, said, created_at of what this turn's prompt tells,
-- the oldest first. Locks nothing.
SELECT kind, left(payload ->> 'text', %(chars)s) AS text, state, said, created_at FROM {schema}.deliveries
WHERE chat = %(chat)s AND told_in = %(turn_id)s AND state IN ('failed', 'unknown', 'blocked')
ORDER BY id
