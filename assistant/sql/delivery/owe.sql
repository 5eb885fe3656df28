-- Takes the columns of a delivery but its state. Returns id, channel, account, chat, user_id; no row where the same thing is owed
-- already. Why it is right when two race: the second waits for the first one's commit, and then meets its row.
INSERT INTO {schema}.deliveries (owed_for, channel, account, chat, user_id, kind, payload, random_id, turn_id)
VALUES (%(owed_for)s, %(channel)s, %(account)s, %(chat)s, %(user_id)s, %(kind)s, %(payload)s::jsonb, %(random_id)s, %(turn_id)s)
ON CONFLICT (owed_for) DO NOTHING
RETURNING id, channel, account, chat, user_id
