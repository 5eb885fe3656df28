-- Takes account, pts, qts, date, seq. Says where its own line of updates begins, if that is not known yet. Why it is right when its holder
-- saves a state at the same time: that one is how far it has committed, and stays.
INSERT INTO {schema}.telegram_update_states (account, peer_id, pts, qts, date, seq)
VALUES (%(account)s, 0, %(pts)s, %(qts)s, %(date)s, %(seq)s)
ON CONFLICT (account, peer_id) DO NOTHING
