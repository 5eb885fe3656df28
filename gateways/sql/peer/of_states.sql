-- Takes account. Returns the supergroups whose updates it follows.
SELECT p.peer_id, p.access_hash, p.username, p.phone, p.name
FROM {schema}.telegram_peers AS p JOIN {schema}.telegram_update_states AS s USING (account, peer_id)
WHERE p.account = %(account)s
