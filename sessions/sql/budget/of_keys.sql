-- Takes scopes, keys: arrays of equal length, ids of accounts that the caller has locked. Returns, of those that are of these keys and
-- of this moment's periods and stand under a cap, the columns of Balance. It stands after the locks (budget/lock), so that it sees
-- all that was reserved before them.
SELECT b.id, b.scope, b.key, b.period, b.starts_on, b.spent_usd, b.reserved_usd, b.allowed_usd, b.left_usd, b.ends_at
FROM {schema}.budget_balances AS b
JOIN unnest(%(scopes)s::text[], %(keys)s::text[]) AS a (scope, key) ON a.scope = b.scope AND a.key = b.key
WHERE b.id = ANY(%(ids)s) AND b.starts_on = {schema}.budget_start(b.period) AND b.cap_usd IS NOT NULL
ORDER BY b.id
