-- Takes user_id, kind, claimed_name, claimed_bytes, seconds, said (null: it is fetched; else why it is not). Adds a file. Returns id.
INSERT INTO {schema}.media_files (user_id, kind, claimed_name, claimed_bytes, seconds, state, said)
VALUES (%(user_id)s, %(kind)s, %(claimed_name)s, %(claimed_bytes)s, %(seconds)s,
        CASE WHEN %(said)s::text IS NULL THEN 'coming' ELSE 'refused' END, %(said)s)
RETURNING id
