-- Takes channel, address, user_id. From now on this is a channel of theirs; it was nobody's. Under user/lock.
INSERT INTO {schema}.user_channels (channel, address, user_id) VALUES (%(channel)s, %(address)s, %(user_id)s)
