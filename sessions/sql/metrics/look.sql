-- Takes most. Returns gauge, labels, value of what sessions/metrics.py declares. Locks nothing.
-- Accounts are one a key and period, and there may be a million: it reads those of the day and of agents, which are few, and those of
-- others that a run has reserved from just now, each by its number.
WITH ids AS MATERIALIZED (
    (
        SELECT id FROM {schema}.budget_accounts
        WHERE scope IN ('agent', 'day') AND starts_on = {schema}.budget_start(period) ORDER BY scope, key LIMIT %(most)s
    ) UNION (
        SELECT account_id FROM (SELECT account_id FROM {schema}.budget_holds LIMIT %(most)s) AS held
    )
), in_use AS MATERIALIZED (
    SELECT b.* FROM ids CROSS JOIN LATERAL (
        SELECT scope, period, spent_usd, reserved_usd, allowed_usd FROM {schema}.budget_balances WHERE id = ids.id LIMIT 1
    ) AS b
), waits AS MATERIALIZED (
    SELECT a.scope, a.period, count(*) AS n
    FROM (SELECT account_id FROM {schema}.budget_waits WHERE event IS NOT NULL ORDER BY account_id, since LIMIT %(most)s) AS w
    JOIN {schema}.budget_accounts AS a ON a.id = w.account_id
    GROUP BY a.scope, a.period
), provider AS MATERIALIZED (
    SELECT coalesce(p.state, 'open') AS state,
           CASE WHEN p.state <> 'open' THEN greatest(extract(epoch FROM clock_timestamp() - p.since), 0) ELSE 0 END AS paused_s
    FROM (VALUES (true)) AS one (one) LEFT JOIN {schema}.provider AS p ON p.one
)
SELECT s.gauge, ARRAY[scope, period] AS labels, s.value::double precision AS value
FROM (
    SELECT scope, period, sum(spent_usd) AS spent, sum(reserved_usd) AS reserved, sum(allowed_usd) AS allowed,
           max(CASE WHEN allowed_usd > 0 THEN (spent_usd + reserved_usd) / allowed_usd WHEN allowed_usd = 0 THEN 1 END) AS used
    FROM in_use GROUP BY scope, period
) AS total
CROSS JOIN LATERAL (
    VALUES ('jobs_budget_spent_usd', spent), ('jobs_budget_reserved_usd', reserved), ('jobs_budget_allowed_usd', allowed),
           ('jobs_budget_used_ratio', used)
) AS s (gauge, value)
WHERE s.value IS NOT NULL
UNION ALL
SELECT 'jobs_budget_waits', ARRAY[scope, period], n FROM waits
UNION ALL
SELECT 'jobs_provider_state', ARRAY[name], (name = provider.state)::integer
FROM provider CROSS JOIN unnest(ARRAY['open', 'paused', 'stopped']) AS name
UNION ALL
SELECT 'jobs_provider_paused_seconds', '{}', paused_s FROM provider
