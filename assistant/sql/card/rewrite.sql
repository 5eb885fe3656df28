-- Takes id, payload, is_card. Has a delivery say something else that certainly was not shown yet: no try of it is under way or may
-- have arrived. Of a card itself also where it did not arrive for good, so that a `retry` shows what is true then. Touches no row
-- where it is otherwise. Locks the row.
-- Why it is right when a try begins (delivery/begin): of the two that lock the row the second sees what the first has written.
UPDATE {schema}.deliveries SET payload = %(payload)s::jsonb
WHERE id = %(id)s
  AND ((state = 'owed' AND unsure_since IS NULL) OR (%(is_card)s AND state IN ('failed', 'unknown', 'blocked')))
