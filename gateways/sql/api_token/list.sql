-- Takes user_id (null: everybody's), before_id (null: from the newest), limit. Returns the columns of tokens of this person, or of somebody who
-- turned out to be them, newest first. Locks nothing.
SELECT id, name, user_id, scopes, created_at, expires_at, used_at, revoked_at
FROM {schema}.api_tokens
WHERE (%(user_id)s::text IS NULL
       OR user_id IN (SELECT u.id FROM {schema}.users AS u WHERE %(user_id)s IN (u.id, u.merged_into)))
  AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
ORDER BY id DESC
LIMIT %(limit)s
