-- Takes channel, address. Nobody is known by it any more. Returns user_id, whose it was; no row: nobody's. Under user/lock.
DELETE FROM {schema}.user_channels WHERE channel = %(channel)s AND address = %(address)s
RETURNING user_id
