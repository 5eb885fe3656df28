-- Takes id. Returns has_transcript of the session, or no row: there is no such session. Locks nothing.
SELECT has_transcript FROM {schema}.sessions WHERE id = %(id)s
