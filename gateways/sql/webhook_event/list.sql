-- Takes source, result, conflicts, before_id, limit; null: any. Returns events without body and headers, newest first.
SELECT id, source, key, result, error, job_id, conflicts, octet_length(body) AS body_bytes, received_at, replayed_at
FROM {schema}.webhook_events
WHERE (%(source)s::text IS NULL OR source = %(source)s)
  AND (%(result)s::text IS NULL OR result = %(result)s)
  AND (NOT %(conflicts)s OR conflicts > 0)
  AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
ORDER BY id DESC
LIMIT %(limit)s
