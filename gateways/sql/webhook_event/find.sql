-- Takes id. Returns the event whole.
SELECT id, source, key, result, error, job_id, conflicts, octet_length(body) AS body_bytes, received_at, replayed_at, headers, body
FROM {schema}.webhook_events WHERE id = %(id)s
