-- Takes name. Deletes the source, and its secrets with it.
DELETE FROM {schema}.webhook_sources WHERE name = %(name)s
