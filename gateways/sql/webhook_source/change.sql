-- Takes name and all columns of a source, whose row the caller has locked.
UPDATE {schema}.webhook_sources
SET scheme = %(scheme)s, settings = %(settings)s, job_type = %(job_type)s, mapping = %(mapping)s, dedupe_by = %(dedupe_by)s,
    cap_per_minute = %(cap_per_minute)s, enabled = %(enabled)s, changed_at = clock_timestamp()
WHERE name = %(name)s
