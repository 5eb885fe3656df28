-- Takes id. Returns session_id of that turn, or no row. Locks nothing.
SELECT session_id FROM {schema}.turns WHERE id = %(id)s
