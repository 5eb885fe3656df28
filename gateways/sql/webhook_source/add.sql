-- Takes name and the columns of a source. Inserts it; touches no row where there is one of that name.
INSERT INTO {schema}.webhook_sources
       (name, scheme, settings, job_type, mapping, dedupe_by, cap_per_minute, enabled)
VALUES (%(name)s, %(scheme)s, %(settings)s, %(job_type)s, %(mapping)s, %(dedupe_by)s, %(cap_per_minute)s, %(enabled)s)
ON CONFLICT (name) DO NOTHING
