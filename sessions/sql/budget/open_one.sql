-- Takes scope, key, period, starts_on. Makes that account where it is not there: the transaction that came short of it was rolled back.
-- Returns id. Locks it, as budget/lock does.
INSERT INTO {schema}.budget_accounts (scope, key, period, starts_on)
VALUES (%(scope)s, %(key)s, %(period)s, %(starts_on)s)
ON CONFLICT (scope, key, period, starts_on) DO UPDATE SET touched_at = clock_timestamp()
RETURNING id
