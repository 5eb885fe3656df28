-- Returns id of workers that hold jobs and are dead or missing. Locks nothing: an id that is gone never comes back, so what
-- is read here stays true.
SELECT DISTINCT j.worker_id AS id FROM {schema}.jobs AS j
WHERE j.worker_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM {schema}.workers AS w WHERE w.id = j.worker_id AND w.dead_at IS NULL)
