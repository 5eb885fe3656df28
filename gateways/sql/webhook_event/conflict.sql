-- Takes id. Counts that the id of this event came with another body. Returns conflicts.
UPDATE {schema}.webhook_events SET conflicts = conflicts + 1 WHERE id = %(id)s RETURNING conflicts
