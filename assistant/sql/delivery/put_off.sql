-- Takes id, said, arrived_not (whether the receiver took nothing of this try), unsure_since (as it was before the try). Called in the
-- settling transaction. Locks the row.
UPDATE {schema}.deliveries
SET said = %(said)s, unsure_since = CASE WHEN %(arrived_not)s THEN %(unsure_since)s::timestamptz ELSE unsure_since END
WHERE id = %(id)s AND state = 'owed'
