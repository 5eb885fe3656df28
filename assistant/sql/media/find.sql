-- Takes ids. Returns the files, by id. Locks nothing.
SELECT id, user_id, kind, claimed_name, claimed_bytes, seconds, state, said, name, media_type, bytes FROM {schema}.media_files
WHERE id = ANY(%(ids)s::bigint[])
ORDER BY id
