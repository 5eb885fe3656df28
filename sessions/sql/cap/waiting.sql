-- Takes ids of accounts. Returns account_id, job_id, event of each job that waits for one, those that have waited longest first.
SELECT account_id, job_id, event FROM {schema}.budget_waits
WHERE account_id = ANY(%(ids)s) AND event IS NOT NULL
ORDER BY since, job_id
