-- Takes event. Returns payload of the event if it was emitted, else no row. Locks nothing.
SELECT payload FROM {schema}.events WHERE name = %(event)s AND emitted_at IS NOT NULL
