-- Takes file_id, nth, content. Adds a piece of a file that is coming; one row, or none where it is that no longer.
INSERT INTO {schema}.media_pieces (file_id, nth, content)
SELECT id, %(nth)s, %(content)s FROM {schema}.media_files WHERE id = %(file_id)s AND state = 'coming'
