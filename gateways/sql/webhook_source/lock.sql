-- Takes name. Locks the source's row and returns what defines it: of two that change it, the second sees what the first wrote.
SELECT scheme, settings, job_type, mapping, dedupe_by, cap_per_minute, enabled
FROM {schema}.webhook_sources WHERE name = %(name)s
FOR UPDATE
