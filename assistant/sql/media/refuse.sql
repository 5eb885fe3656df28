-- Takes id, said. A file that was coming is not taken; what has come of it is dropped.
-- Why it is right when two race: add_piece finds the row as it was before or after, and the run that fetches is one at a time.
WITH refused AS (
    UPDATE {schema}.media_files SET state = 'refused', said = %(said)s WHERE id = %(id)s AND state = 'coming' RETURNING id
)
DELETE FROM {schema}.media_pieces WHERE file_id IN (SELECT id FROM refused)
