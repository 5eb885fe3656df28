-- Takes file_id, nth. Returns content; no row behind the last piece.
SELECT content FROM {schema}.media_pieces WHERE file_id = %(file_id)s AND nth = %(nth)s
