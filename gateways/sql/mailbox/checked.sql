-- Takes account, peer_id, checked_id. Notes that up to there no message is missing.
UPDATE {schema}.telegram_update_states SET checked_id = %(checked_id)s WHERE account = %(account)s AND peer_id = %(peer_id)s
