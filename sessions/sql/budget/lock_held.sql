-- Takes turn_id, token. Locks the accounts that this run holds something of, in the order of their ids. Returns id of each.
SELECT id FROM {schema}.budget_accounts
WHERE id IN (SELECT account_id FROM {schema}.budget_holds WHERE turn_id = %(turn_id)s AND token = %(token)s)
ORDER BY id FOR UPDATE
