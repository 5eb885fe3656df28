-- Takes scope, key, period, cap_usd (null: no cap), set_by. Sets the cap by hand, whether or not there is one; the last word stands.
INSERT INTO {schema}.budget_caps (scope, key, period, cap_usd, by_hand, set_by)
VALUES (%(scope)s, %(key)s, %(period)s, %(cap_usd)s, true, %(set_by)s)
ON CONFLICT (scope, key, period) DO UPDATE
SET cap_usd = excluded.cap_usd, by_hand = true, set_by = excluded.set_by, set_at = clock_timestamp()
