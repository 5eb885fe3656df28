-- Takes name. Returns url, enabled, off_why, created_at and the valid secrets, the newest first, of a callback, or no row. Locks nothing.
SELECT c.url, c.enabled, c.off_why, c.created_at,
       ARRAY(
           SELECT w.secret FROM {schema}.callback_secrets AS w
           WHERE w.callback = c.name AND (w.valid_until IS NULL OR w.valid_until > clock_timestamp())
           ORDER BY w.id DESC
       ) AS secrets
FROM {schema}.callbacks AS c
WHERE c.name = %(name)s
