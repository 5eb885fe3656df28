-- Takes keep_days, batch. Drops the bytes of the oldest files that came longer ago than that, and says so in their rows; returns ids.
-- Why it is right when two race: who comes second waits for the first one's rows, finds them gone already, and drops the rest.
WITH old AS (
    SELECT id FROM {schema}.media_files
    WHERE state IN ('coming', 'here') AND created_at < clock_timestamp() - make_interval(days => %(keep_days)s)
    ORDER BY created_at LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
), dropped AS (
    DELETE FROM {schema}.media_pieces WHERE file_id IN (SELECT id FROM old)
)
UPDATE {schema}.media_files SET state = 'gone' WHERE id IN (SELECT id FROM old)
RETURNING id
