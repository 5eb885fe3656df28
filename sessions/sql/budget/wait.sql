-- Takes job_id, account_id, needs_usd, event. Notes that the job waits for that account. Returns first: it has not waited for just
-- this one since it got money last, and alone: nor has any other job.
-- Why it is right when two race: the caller has settled that job in this transaction, so nobody else writes its row; and it holds
-- the account (budget/open_one), so that who gives back or raises has done so, and is seen, or will see the row. A job that was
-- cancelled while it waited has left its row (budget/forget_waits), and is no other.
WITH before AS MATERIALIZED (SELECT account_id FROM {schema}.budget_waits WHERE job_id = %(job_id)s), noted AS (
    INSERT INTO {schema}.budget_waits AS w (job_id, account_id, needs_usd, event)
    VALUES (%(job_id)s, %(account_id)s, %(needs_usd)s, %(event)s)
    ON CONFLICT (job_id) DO UPDATE
    SET account_id = excluded.account_id, needs_usd = excluded.needs_usd, event = excluded.event,
        since = CASE WHEN w.account_id = excluded.account_id THEN w.since ELSE excluded.since END
)
SELECT NOT EXISTS (SELECT FROM before WHERE account_id = %(account_id)s) AS first,
       NOT EXISTS (SELECT FROM {schema}.budget_waits AS w JOIN {schema}.jobs AS j ON j.id = w.job_id
                   WHERE w.account_id = %(account_id)s) AS alone
