-- Takes id, revoked_by. Revokes; touches no row where there is no such id, or it was revoked before.
UPDATE {schema}.always_allowed SET revoked_by = %(revoked_by)s, revoked_at = clock_timestamp()
WHERE id = %(id)s AND revoked_at IS NULL
