-- Takes session_id. Returns id, started_at, ended_at of the session's answered turns, in no order. Locks nothing.
SELECT id, started_at, ended_at FROM {schema}.turns WHERE session_id = %(session_id)s AND ended_at IS NOT NULL
