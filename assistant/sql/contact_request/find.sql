-- Takes id. Returns the request's columns, or no row. Locks nothing.
SELECT id, user_id, channel, address, first_words, kept, dropped, state, created_at, decided_by, decided_at
FROM {schema}.contact_requests WHERE id = %(id)s
