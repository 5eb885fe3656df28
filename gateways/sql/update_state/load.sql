-- Takes account. Returns how far each of its lines of updates is taken in.
SELECT peer_id, pts, qts, date, seq FROM {schema}.telegram_update_states WHERE account = %(account)s
