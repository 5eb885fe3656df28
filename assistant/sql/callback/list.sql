-- Takes name, or null for all. Returns callbacks by name, with the times of their valid secrets, the oldest first, and no secret.
SELECT c.name, c.url, c.events, c.enabled, c.off_why, c.failing_since,
       coalesce(v.since, '{}') AS secrets_since, coalesce(v.until, '{}') AS secrets_until, c.created_at, c.changed_at
FROM {schema}.callbacks AS c
LEFT JOIN LATERAL (
    SELECT array_agg(w.created_at ORDER BY w.id) AS since, array_agg(w.valid_until ORDER BY w.id) AS until
    FROM {schema}.callback_secrets AS w
    WHERE w.callback = c.name AND (w.valid_until IS NULL OR w.valid_until > clock_timestamp())
) AS v ON true
WHERE %(name)s::text IS NULL OR c.name = %(name)s
ORDER BY c.name
