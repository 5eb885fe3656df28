-- Takes partition (the name of a default one, filled in), before, batch. Deletes rows that ended before that time, `batch` at
-- most. Locks those rows. Reads the table, which is empty unless a day's partition was missing.
DELETE FROM {partition} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {partition} WHERE ended_at < %(before)s::timestamptz LIMIT %(batch)s
))
