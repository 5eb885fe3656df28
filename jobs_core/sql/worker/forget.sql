-- Takes keep_s. Deletes workers dead for longer than that which hold no job.
DELETE FROM {schema}.workers AS w
WHERE w.dead_at < clock_timestamp() - make_interval(secs => %(keep_s)s)
  AND NOT EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.worker_id = w.id)
