-- Takes scopes, keys: arrays of equal length. Makes the accounts, of these keys and this moment's periods, that caps ask for and
-- that are not there.
-- Why it is right when two race: they insert in one order, so the second waits for the first and then has the account, too. Who has
-- inserted one here may lock older ones after it (budget/lock): whoever holds those is past this statement, and waits for no new one.
INSERT INTO {schema}.budget_accounts (scope, key, period, starts_on)
SELECT DISTINCT a.scope, a.key, c.period, {schema}.budget_start(c.period)
FROM unnest(%(scopes)s::text[], %(keys)s::text[]) AS a (scope, key)
JOIN {schema}.budget_caps AS c ON c.scope = a.scope AND c.key IN (a.key, '*')
WHERE NOT EXISTS (
    SELECT FROM {schema}.budget_accounts AS b
    WHERE b.scope = a.scope AND b.key = a.key AND b.period = c.period AND b.starts_on = {schema}.budget_start(c.period)
)
ORDER BY 1, 2, 3
ON CONFLICT (scope, key, period, starts_on) DO NOTHING
