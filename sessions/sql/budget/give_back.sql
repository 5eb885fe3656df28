-- Takes turn_id, token. Gives back what the run had reserved in each of its accounts, which the caller holds (budget/lock,
-- budget/lock_held). Returns id of each; no row: somebody did so before, or it had reserved nothing.
WITH held AS (
    DELETE FROM {schema}.budget_holds WHERE turn_id = %(turn_id)s AND token = %(token)s RETURNING account_id, usd
)
UPDATE {schema}.budget_accounts AS a
SET reserved_usd = a.reserved_usd - held.usd, touched_at = clock_timestamp()
FROM held WHERE a.id = held.account_id
RETURNING a.id
