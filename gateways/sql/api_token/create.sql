-- Takes hash, name, user_id, address (null: none), scopes, expires_in_s (null: it never expires). Returns the columns of the new token.
INSERT INTO {schema}.api_tokens (hash, name, user_id, address, scopes, expires_at)
VALUES (%(hash)s, %(name)s, %(user_id)s, %(address)s, %(scopes)s, clock_timestamp() + make_interval(secs => %(expires_in_s)s))
RETURNING id, name, user_id, scopes, created_at, expires_at, used_at, revoked_at
