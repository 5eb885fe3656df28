-- Takes scope, key, period, by_usd. Raises what the key may spend in this moment's period, whether or not it has an account. Locks it:
-- a run that reserves at the same time has done so, or sees it. Returns id.
INSERT INTO {schema}.budget_accounts AS a (scope, key, period, starts_on, raised_usd)
VALUES (%(scope)s, %(key)s, %(period)s, {schema}.budget_start(%(period)s), %(by_usd)s)
ON CONFLICT (scope, key, period, starts_on) DO UPDATE
SET raised_usd = a.raised_usd + excluded.raised_usd, touched_at = clock_timestamp()
RETURNING id
