-- Takes session_id, subpath. Returns entry, in the order in which they were stored.
SELECT entry FROM {schema}.transcript_entries
WHERE session_id = %(session_id)s AND subpath = %(subpath)s
ORDER BY seq
