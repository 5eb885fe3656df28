-- Takes name. Deletes the callback, and its secrets with it.
DELETE FROM {schema}.callbacks WHERE name = %(name)s
