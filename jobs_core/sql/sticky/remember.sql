-- Takes id, token of a claim. The worker that holds the job is the last one of its key from now on. Touches no row where the claim
-- holds the job no longer, where the job runs alone, in a process that takes no others, and where that is known, and a minute old at
-- most. Locks the key's row. Fenced like job/start.
INSERT INTO {schema}.sticky_keys AS s (key, worker_id)
SELECT sticky_key, worker_id FROM {schema}.jobs
WHERE id = %(id)s AND token = %(token)s AND state NOT IN ('pending', 'blocked', 'waiting')
  AND sticky_key IS NOT NULL AND NOT alone
ON CONFLICT (key) DO UPDATE SET worker_id = excluded.worker_id, ran_at = excluded.ran_at
WHERE s.worker_id <> excluded.worker_id OR s.ran_at < excluded.ran_at - interval '1 minute'
