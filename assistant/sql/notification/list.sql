-- Takes anybodys, or user_id and is_owner (what is nobody's by name is theirs), unread, before_id (null: from the newest), limit. Returns
-- notifications, the newest first. Locks nothing.
SELECT id, user_id, title, body, category, severity, read, metadata, created_at, seq
FROM {schema}.notifications
WHERE (%(anybodys)s OR user_id = %(user_id)s OR (%(is_owner)s AND user_id IS NULL))
  AND NOT (%(unread)s AND read)
  AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
ORDER BY id DESC
LIMIT %(limit)s
