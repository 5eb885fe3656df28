-- Takes longer_than_s, most. Returns what keeps dead rows of this database from being cleared away: kind (session, prepared, slot), name,
-- pid and begun (of a session: which, and which transaction of it), for_s (null: Postgres does not say). Locks nothing. Sessions of
-- roles that this one may not look at (pg_read_all_stats) are left out: Postgres does not say since when they have one.
SELECT * FROM (
    SELECT 'session' AS kind, concat_ws(', ', nullif(application_name, ''), usename, state) AS name, pid, xact_start AS begun,
           extract(epoch FROM clock_timestamp() - xact_start)::double precision AS for_s
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type IN ('client backend', 'walsender') AND xact_start IS NOT NULL
      AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
    UNION ALL
    SELECT 'prepared', gid, NULL, NULL, extract(epoch FROM clock_timestamp() - prepared)
    FROM pg_prepared_xacts WHERE database = current_database()
    UNION ALL
    SELECT 'slot', slot_name, NULL, NULL, NULL
    FROM pg_replication_slots WHERE NOT active AND (datoid IS NULL OR database = current_database())
) AS pins
WHERE coalesce(for_s, 'infinity') > %(longer_than_s)s
ORDER BY for_s DESC NULLS LAST
LIMIT %(most)s
