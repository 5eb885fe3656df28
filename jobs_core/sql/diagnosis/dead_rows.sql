-- Takes dead (rows), longer_than_s. Returns table, dead, off (autovacuum is switched off for it) of our tables that hold more dead rows than
-- that and than half of their live ones, and were not vacuumed for so long, nor are now; and of those it is off for. Locks nothing.
SELECT s.relname AS table, s.n_dead_tup AS dead, settings.off
FROM pg_stat_user_tables AS s
JOIN pg_class AS c ON c.oid = s.relid
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(option ~* '^autovacuum_enabled=(false|off|no|0)$'), false) AS off FROM unnest(c.reloptions) AS option
) AS settings
WHERE c.relnamespace = to_regnamespace('{schema}')
  AND (
      settings.off
      OR s.n_dead_tup > greatest(%(dead)s, s.n_live_tup / 2)
         AND coalesce(greatest(s.last_vacuum, s.last_autovacuum), '-infinity')
             < clock_timestamp() - make_interval(secs => %(longer_than_s)s)
         AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum AS v WHERE v.relid = s.relid)
  )
ORDER BY s.n_dead_tup DESC
