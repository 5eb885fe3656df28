-- Takes session_id. Returns id of the session's newest answered turn, or no row.
SELECT id FROM {schema}.turns
WHERE session_id = %(session_id)s AND ended_at IS NOT NULL
ORDER BY ended_at DESC
LIMIT 1
