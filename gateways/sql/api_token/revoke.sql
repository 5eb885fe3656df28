-- Takes id, user_id (null: whoever's). Returns the columns of the token, revoked now or before; no row: there is none, or not of this person.
UPDATE {schema}.api_tokens
SET revoked_at = coalesce(revoked_at, clock_timestamp())
WHERE id = %(id)s
  AND (%(user_id)s::text IS NULL
       OR user_id IN (SELECT u.id FROM {schema}.users AS u WHERE %(user_id)s IN (u.id, u.merged_into)))
RETURNING id, name, user_id, scopes, created_at, expires_at, used_at, revoked_at
