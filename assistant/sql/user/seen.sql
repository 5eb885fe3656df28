-- Takes channel and arrays of one length, an element a contact: addresses, names (null: the channel has none), usernames. Returns address and
-- the user of each by whom somebody is known, its name and username as given now, and account, by which they came last; no row: nobody is
-- known by it, or it is a second address of one who is told anew by the first.
-- Locks users' rows only where they are written: something changed, or the last contact was a minute ago. Of two at once the
-- second passes the row over and waits for nobody: the first one says the same.
WITH known AS MATERIALIZED (
    SELECT said.*, c.user_id, c.account
    FROM unnest(%(addresses)s::text[], %(names)s::text[], %(usernames)s::text[]) AS said (address, name, username)
    JOIN {schema}.user_channels AS c ON c.channel = %(channel)s AND c.address = said.address
), due AS MATERIALIZED (
    SELECT u.id FROM {schema}.users AS u JOIN known ON known.user_id = u.id
    WHERE u.seen_at < clock_timestamp() - interval '1 minute'
       OR known.name IS NOT NULL AND (u.name, u.username) IS DISTINCT FROM (known.name, known.username)
    FOR NO KEY UPDATE OF u SKIP LOCKED
), told AS (
    UPDATE {schema}.users AS u
    SET name = coalesce(known.name, u.name),
        username = CASE WHEN known.name IS NULL THEN u.username ELSE known.username END,
        seen_at = clock_timestamp()
    FROM known WHERE u.id = known.user_id AND u.id IN (SELECT id FROM due)
    RETURNING known.address, known.account, u.id, u.name, u.username, u.role, u.tg_user_id, u.created_at, u.seen_at, u.admission
)
SELECT * FROM told
UNION ALL
SELECT known.address, known.account, u.id, u.name, u.username, u.role, u.tg_user_id, u.created_at, u.seen_at, u.admission
FROM known JOIN {schema}.users AS u ON u.id = known.user_id
WHERE NOT EXISTS (SELECT FROM told WHERE told.id = u.id)
