-- Takes ids. Returns id, name of those of them who are people. Locks nothing.
SELECT id, name FROM {schema}.users WHERE id = ANY(%(ids)s::text[])
