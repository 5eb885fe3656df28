-- Takes partition (the name of a default one) and at (the column that its days go by), both filled in, before, batch. Deletes
-- rows from before that time, `batch` at most. Locks those rows. Reads the table, which is empty unless a day's partition was
-- missing.
DELETE FROM {partition} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {partition} WHERE {at} < %(before)s::timestamptz LIMIT %(batch)s
))
