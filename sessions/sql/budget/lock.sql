-- Takes scopes, keys, turn_id. Locks the accounts of these keys in this moment's periods, and those that runs of the turn hold
-- something of, all in the order of their ids, until the caller's transaction ends. Returns id of each.
SELECT id FROM {schema}.budget_accounts
WHERE id IN (
    SELECT b.id FROM unnest(%(scopes)s::text[], %(keys)s::text[]) AS a (scope, key)
    JOIN {schema}.budget_accounts AS b ON b.scope = a.scope AND b.key = a.key AND b.starts_on = {schema}.budget_start(b.period)
    UNION ALL
    SELECT account_id FROM {schema}.budget_holds WHERE turn_id = %(turn_id)s
)
ORDER BY id FOR UPDATE
