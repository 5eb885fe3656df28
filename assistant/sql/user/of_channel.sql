-- Takes channel, address. Returns the user of this channel, or no row: nobody is known by it.
SELECT u.id, u.name, u.username, u.role, u.tg_user_id, u.created_at, u.seen_at, u.admission
FROM {schema}.user_channels AS c
JOIN {schema}.users AS u ON u.id = c.user_id
WHERE c.channel = %(channel)s AND c.address = %(address)s
