-- Takes keep_s. Deletes the keys whose last worker is dead or missing, or whose last run began longer ago than that. Locks them.
DELETE FROM {schema}.sticky_keys AS s
WHERE s.ran_at < clock_timestamp() - make_interval(secs => %(keep_s)s)
   OR NOT EXISTS (SELECT FROM {schema}.workers AS w WHERE w.id = s.worker_id AND w.dead_at IS NULL)
