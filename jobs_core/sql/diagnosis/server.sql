-- Takes names of settings. Returns one row: version (such as 180006), is_replica, by_socket (no network lies between), at (Postgres'
-- clock), given (those settings as this role gets them in this database), ours (as this connection has set them), most and free
-- (connections that this role may have here, and those of them that nobody has now), notify_usage (the share of the queue of
-- NOTIFYs that is in use). Locks nothing.
SELECT current_setting('server_version_num')::integer AS version, pg_is_in_recovery() AS is_replica,
       inet_client_addr() IS NULL AS by_socket, clock_timestamp() AS at,
       (SELECT jsonb_object_agg(name, reset_val) FROM pg_settings WHERE name = ANY(%(names)s::text[])) AS given,
       (SELECT jsonb_object_agg(name, setting) FROM pg_settings WHERE name = ANY(%(names)s::text[])) AS ours,
       bounds.most, bounds.free, pg_notification_queue_usage() AS notify_usage
FROM (
    SELECT min(most)::integer AS most, min(most - taken)::integer AS free
    FROM (
        SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer,
               (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL)
        UNION ALL
        SELECT datconnlimit, (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())
        FROM pg_database WHERE datname = current_database() AND datconnlimit >= 0
        UNION ALL
        SELECT rolconnlimit, (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user)
        FROM pg_roles WHERE rolname = current_user AND rolconnlimit >= 0
    ) AS bounds (most, taken)
) AS bounds
