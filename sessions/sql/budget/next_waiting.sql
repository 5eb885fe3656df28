-- Takes account_id, left_usd (null: whatever they need). Of the jobs that wait for the account and need no more than that, lets the one
-- that has waited longest be told. Returns event, or no row: nobody waits. The caller holds the account.
WITH next AS MATERIALIZED (
    SELECT job_id, event FROM {schema}.budget_waits
    WHERE account_id = %(account_id)s AND event IS NOT NULL
      AND (%(left_usd)s::numeric IS NULL OR needs_usd <= %(left_usd)s)
    ORDER BY since, job_id LIMIT 1
    FOR UPDATE
)
UPDATE {schema}.budget_waits AS w SET event = NULL
FROM next WHERE w.job_id = next.job_id
RETURNING next.event
