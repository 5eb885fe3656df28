-- Takes id. Returns user_id, whom a request is about, or no row. Locks nothing.
SELECT user_id FROM {schema}.contact_requests WHERE id = %(id)s
