-- Takes id of a schedule that the caller has locked, next_at. It goes on from now, and its failures are counted anew.
UPDATE {schema}.schedules SET paused_at = NULL, paused_why = NULL, failures = 0, seen_until = now(), next_at = %(next_at)s
WHERE id = %(id)s
