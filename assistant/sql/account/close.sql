-- Takes channel, accounts (as lanes name them). By these nothing goes until they are opened again. Of two that race the second finds it so.
INSERT INTO {schema}.accounts_out_of_use (channel, account) SELECT %(channel)s, one FROM unnest(%(accounts)s::text[]) AS one
ON CONFLICT DO NOTHING
