-- Returns held: how many lanes are held. Locks nothing.
SELECT count(*) AS held FROM {schema}.lanes WHERE held_at IS NOT NULL
