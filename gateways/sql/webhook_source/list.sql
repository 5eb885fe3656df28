-- Takes name, or null for all. Returns sources by name, with the times of their valid secrets, the oldest first, and no secret.
SELECT s.name, s.scheme, s.settings, s.job_type, s.mapping, s.dedupe_by, s.cap_per_minute, s.enabled,
       coalesce(v.since, '{}') AS secrets_since, coalesce(v.until, '{}') AS secrets_until, s.created_at, s.changed_at
FROM {schema}.webhook_sources AS s
LEFT JOIN LATERAL (
    SELECT array_agg(w.created_at ORDER BY w.id) AS since, array_agg(w.valid_until ORDER BY w.id) AS until
    FROM {schema}.webhook_secrets AS w
    WHERE w.source = s.name AND (w.valid_until IS NULL OR w.valid_until > clock_timestamp())
) AS v ON true
WHERE %(name)s::text IS NULL OR s.name = %(name)s
ORDER BY s.name
