-- Returns pid, name, state, for_s of the oldest three transactions that hold locks on the queue's tables, for a second or more.
SELECT a.pid, a.application_name AS name, a.state, extract(epoch FROM clock_timestamp() - a.xact_start)::double precision AS for_s
FROM pg_stat_activity AS a
WHERE a.pid <> pg_backend_pid() AND a.xact_start < clock_timestamp() - interval '1 second'
  AND EXISTS (
      SELECT FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
      WHERE l.pid = a.pid AND l.granted AND c.relnamespace = to_regnamespace('{schema}')
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  )
ORDER BY a.xact_start LIMIT 3
