-- Takes hash. Returns id, user_id (of whom its person is by now), role, scopes, expires_at of the token, if it is in force; no row: it is not,
-- or its person is not served, or comes by its address no more. Notes its use, once a minute: of two at once the second waits for the first, and finds it noted.
WITH token AS (
    SELECT t.id, u.id AS user_id, u.role, t.scopes, t.expires_at, t.used_at
    FROM {schema}.api_tokens AS t
    JOIN {schema}.users AS given ON given.id = t.user_id
    JOIN {schema}.users AS u ON u.id = coalesce(given.merged_into, given.id)
    WHERE t.hash = %(hash)s AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
      AND (u.role = 'owner' OR u.admission NOT IN ('denied', 'blocked'))
      AND (t.address IS NULL OR EXISTS (
          SELECT FROM {schema}.user_channels AS c WHERE c.channel = 'web' AND c.address = t.address AND c.user_id = u.id))
), noted AS (
    UPDATE {schema}.api_tokens SET used_at = clock_timestamp()
    WHERE id = (SELECT id FROM token WHERE used_at IS NULL OR used_at < clock_timestamp() - make_interval(secs => 60))
      AND (used_at IS NULL OR used_at < clock_timestamp() - make_interval(secs => 60))
)
SELECT id, user_id, role, scopes, expires_at FROM token
