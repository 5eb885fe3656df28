-- Takes scope, key, period, by_usd, cap_usd (what it stands under with that), set_by. Raises the key's own cap, or makes it one of its own.
-- Why it is right when two race: the second waits for the first's row, and adds to what that says, whoever wrote it.
INSERT INTO {schema}.budget_caps AS c (scope, key, period, cap_usd, by_hand, set_by)
VALUES (%(scope)s, %(key)s, %(period)s, %(cap_usd)s, true, %(set_by)s)
ON CONFLICT (scope, key, period) DO UPDATE
SET cap_usd = c.cap_usd + %(by_usd)s, by_hand = true, set_by = excluded.set_by, set_at = clock_timestamp()
