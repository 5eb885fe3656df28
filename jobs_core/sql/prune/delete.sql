-- Takes partition (its name filled in), ids. Deletes these jobs; touches a row for each, none for what another prune was faster
-- with. Locks them, and no table against settles.
DELETE FROM {partition} WHERE id = ANY(%(ids)s::bigint[])
