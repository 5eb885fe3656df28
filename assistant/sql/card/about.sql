-- Takes delivery_id. Returns about, what the card is about that this delivery is, or changes; no row: it is neither. Locks nothing.
SELECT about FROM {schema}.cards
WHERE delivery_id = coalesce((SELECT (payload ->> 'edits')::bigint FROM {schema}.deliveries WHERE id = %(delivery_id)s AND kind = 'card'),
                             %(delivery_id)s)
