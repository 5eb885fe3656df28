-- Takes before_id (null: from the newest), limit. Returns what is always allowed, revoked ones left out, newest first.
SELECT id, user_id, agent, tool, digest, arguments, allowed_by, allowed_at FROM {schema}.always_allowed
WHERE revoked_at IS NULL AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
ORDER BY id DESC
LIMIT %(limit)s
