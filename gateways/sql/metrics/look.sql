-- Takes most, and reads all accounts of ours: they are few. Returns gauge, labels, value of what gateways/metrics.py declares.
-- Locks nothing.
SELECT 'jobs_telegram_account_held' AS gauge,
       ARRAY[name, CASE WHEN lease_until > clock_timestamp() THEN coalesce(split_part(holder, ':', 1), '') ELSE '' END] AS labels,
       (holder IS NOT NULL AND lease_until > clock_timestamp())::integer::double precision AS value
FROM {schema}.telegram_accounts WHERE state = 'active'
UNION ALL
SELECT 'jobs_telegram_accounts', ARRAY[state], count(*) FROM {schema}.telegram_accounts GROUP BY state
