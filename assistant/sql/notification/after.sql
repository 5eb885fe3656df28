-- Takes user_id, is_owner, after, upto (null: to the end), limit. Returns a person's notifications behind a place, in the order of places. Locks
-- nothing. Nothing comes in between later: see notification/place.
SELECT id, user_id, title, body, category, severity, read, metadata, created_at, seq
FROM {schema}.notifications
WHERE seq > %(after)s AND (%(upto)s::bigint IS NULL OR seq <= %(upto)s)
  AND (user_id = %(user_id)s OR (%(is_owner)s AND user_id IS NULL))
ORDER BY seq
LIMIT %(limit)s
