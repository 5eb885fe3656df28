-- Takes user_id (null: anybody's), unread, before_id (null: from the newest), limit. Returns notifications, the newest first. Locks
-- nothing.
SELECT id, user_id, title, body, category, severity, read, metadata, created_at
FROM {schema}.notifications
WHERE (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
  AND NOT (%(unread)s AND read)
  AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
ORDER BY id DESC
LIMIT %(limit)s
