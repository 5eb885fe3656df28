-- Takes id. Marks the turn answered; touches no row where it was before, so that the first time stands.
UPDATE {schema}.turns SET ended_at = clock_timestamp() WHERE id = %(id)s AND ended_at IS NULL
