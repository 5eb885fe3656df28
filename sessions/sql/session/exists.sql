-- Takes id. Returns one row where there is such a session. Locks nothing.
SELECT FROM {schema}.sessions WHERE id = %(id)s
