-- Takes account and arrays: peer_id, access_hash, username, phone, name. Writes by what the account names them; touches no row of whom is
-- known so. Only who holds the account does.
INSERT INTO {schema}.telegram_peers AS p (account, peer_id, access_hash, username, phone, name)
SELECT %(account)s, n.*
FROM unnest(%(peer_id)s::bigint[], %(access_hash)s::bigint[], %(username)s::text[], %(phone)s::text[], %(name)s::text[]) AS n
ON CONFLICT (account, peer_id) DO UPDATE
SET access_hash = excluded.access_hash, username = excluded.username, phone = excluded.phone, name = excluded.name
WHERE (p.access_hash, p.username, p.phone, p.name) IS DISTINCT FROM (excluded.access_hash, excluded.username, excluded.phone, excluded.name)
