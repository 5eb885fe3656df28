-- Takes channel, accounts. These are in use again. Touches no row where they were.
DELETE FROM {schema}.accounts_out_of_use WHERE channel = %(channel)s AND account = ANY(%(accounts)s::text[])
