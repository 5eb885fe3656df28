-- Takes partition (its name filled in), job_type, state (null: any of them), before, after (an id), batch. Returns id, created_at,
-- ended_at of its next jobs that are meant, by id. Locks nothing. It goes on from an id, for a look from the start would read all
-- the rows deleted before once more, each time.
SELECT id, created_at, ended_at FROM {partition}
WHERE id > %(after)s AND ended_at < %(before)s::timestamptz
  AND (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
  AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY id LIMIT %(batch)s
