-- Takes id. Touches no row where there is no such notification; one that was read before stays so.
UPDATE {schema}.notifications SET read = true WHERE id = %(id)s
