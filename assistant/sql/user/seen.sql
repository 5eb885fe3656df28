-- Takes channel, address, name (null: the channel has none), username. Returns the user of this channel, its name and username
-- as given now; no row: nobody is known by it.
-- Locks the user's row only where it is written: something changed, or the last contact was a minute ago. Of two at once the
-- second passes the row over and waits for nobody: the first one says the same.
WITH known AS (
    SELECT user_id FROM {schema}.user_channels WHERE channel = %(channel)s AND address = %(address)s
), due AS (
    SELECT id FROM {schema}.users
    WHERE id = (SELECT user_id FROM known)
      AND (seen_at < clock_timestamp() - interval '1 minute'
           OR %(name)s::text IS NOT NULL AND (name, username) IS DISTINCT FROM (%(name)s::text, %(username)s::text))
    FOR NO KEY UPDATE SKIP LOCKED
), told AS (
    UPDATE {schema}.users
    SET name = coalesce(%(name)s::text, name),
        username = CASE WHEN %(name)s::text IS NULL THEN username ELSE %(username)s::text END,
        seen_at = clock_timestamp()
    WHERE id = (SELECT id FROM due)
    RETURNING id, name, username, role, tg_user_id, created_at, seen_at, admission
)
SELECT * FROM told
UNION ALL
SELECT id, name, username, role, tg_user_id, created_at, seen_at, admission FROM {schema}.users
WHERE id = (SELECT user_id FROM known) AND NOT EXISTS (SELECT FROM told)
