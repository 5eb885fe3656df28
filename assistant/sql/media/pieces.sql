-- Takes file_id. Returns pieces, bytes: how many have come, and how much. Reads no content: lengths stand in the rows.
SELECT count(*)::integer AS pieces, coalesce(sum(octet_length(content)), 0)::bigint AS bytes
FROM {schema}.media_pieces WHERE file_id = %(file_id)s
