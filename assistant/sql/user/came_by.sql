-- Takes channel, address, account. Notes by which account of ours somebody comes; writes only where it was another.
UPDATE {schema}.user_channels SET account = %(account)s
WHERE channel = %(channel)s AND address = %(address)s AND account IS DISTINCT FROM %(account)s::text
