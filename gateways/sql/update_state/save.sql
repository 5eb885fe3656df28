-- Takes account and arrays: peer_ids, pts, qts, date, seq. Writes how far these lines of updates are taken in; only who holds the account does.
INSERT INTO {schema}.telegram_update_states AS s (account, peer_id, pts, qts, date, seq)
SELECT %(account)s, n.* FROM unnest(%(peer_ids)s::bigint[], %(pts)s::int[], %(qts)s::int[], %(date)s::timestamptz[], %(seq)s::int[]) AS n
ON CONFLICT (account, peer_id) DO UPDATE SET pts = excluded.pts, qts = excluded.qts, date = excluded.date, seq = excluded.seq
