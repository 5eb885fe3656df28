-- Takes id. Returns body, or no row. Locks nothing.
SELECT body FROM {schema}.notifications WHERE id = %(id)s
