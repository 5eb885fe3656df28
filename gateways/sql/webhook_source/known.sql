-- Returns, for the doors, every source that takes events, with its valid secrets, the newest first.
SELECT s.name, s.scheme, s.settings, s.job_type, s.mapping, s.dedupe_by, s.cap_per_minute,
       ARRAY(
           SELECT w.secret FROM {schema}.webhook_secrets AS w
           WHERE w.source = s.name AND (w.valid_until IS NULL OR w.valid_until > clock_timestamp())
           ORDER BY w.id DESC
       ) AS secrets
FROM {schema}.webhook_sources AS s
WHERE s.enabled
