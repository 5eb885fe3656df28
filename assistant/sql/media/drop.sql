-- Takes ids, said. Files of which no message is, or will be, are not taken after all: drops their bytes, and says why in their rows.
-- Why it is right when two race: only whoever brought them knows their ids, and has given up the message that they were for.
WITH dropped AS (
    UPDATE {schema}.media_files SET state = 'refused', said = %(said)s
    WHERE id = ANY(%(ids)s::bigint[]) AND state IN ('coming', 'here')
    RETURNING id
)
DELETE FROM {schema}.media_pieces WHERE file_id IN (SELECT id FROM dropped)
