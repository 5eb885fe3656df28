-- Takes scope, key, period, cap_usd (null: no cap), set_by. Sets a default where nobody has said anything by hand; writes nothing where
-- it stands already. Returns a row where it was changed.
INSERT INTO {schema}.budget_caps AS c (scope, key, period, cap_usd, by_hand, set_by)
VALUES (%(scope)s, %(key)s, %(period)s, %(cap_usd)s, false, %(set_by)s)
ON CONFLICT (scope, key, period) DO UPDATE SET cap_usd = excluded.cap_usd, set_by = excluded.set_by, set_at = clock_timestamp()
WHERE NOT c.by_hand AND c.cap_usd IS DISTINCT FROM excluded.cap_usd
RETURNING scope
