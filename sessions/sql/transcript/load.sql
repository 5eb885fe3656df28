-- Takes session_id, subpath, from_epoch (1: without what was copied into it before any run took it). Returns entry, in the order in
-- which they were stored.
SELECT entry FROM {schema}.transcript_entries
WHERE session_id = %(session_id)s AND subpath = %(subpath)s AND epoch >= %(from_epoch)s
ORDER BY seq
