-- Takes turn_id, token, job_id, usd, ids of accounts, which the caller holds (budget/lock). Reserves the amount in each.
WITH held AS (
    INSERT INTO {schema}.budget_holds (turn_id, token, account_id, job_id, usd)
    SELECT %(turn_id)s, %(token)s, id, %(job_id)s, %(usd)s FROM unnest(%(ids)s::bigint[]) AS id
)
UPDATE {schema}.budget_accounts SET reserved_usd = reserved_usd + %(usd)s, touched_at = clock_timestamp()
WHERE id = ANY(%(ids)s)
