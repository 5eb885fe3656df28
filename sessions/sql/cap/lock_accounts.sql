-- Takes scope, key ('*': any). Locks the accounts of the scope that jobs wait for, in the order of their ids. Returns id of each.
SELECT id FROM {schema}.budget_accounts
WHERE scope = %(scope)s AND (key = %(key)s OR %(key)s = '*')
  AND id IN (SELECT account_id FROM {schema}.budget_waits WHERE event IS NOT NULL)
ORDER BY id FOR UPDATE
