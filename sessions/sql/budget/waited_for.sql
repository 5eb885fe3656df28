-- Returns id of each account that jobs wait for. Locks nothing.
SELECT DISTINCT account_id AS id FROM {schema}.budget_waits WHERE event IS NOT NULL ORDER BY 1
