-- Takes turn_id, token. Returns usd, which this run holds in each of its accounts, or no row: it holds nothing. Locks nothing: nobody
-- else reserves for this claim, and who settles for it finds that it has died.
SELECT usd FROM {schema}.budget_holds WHERE turn_id = %(turn_id)s AND token = %(token)s LIMIT 1
