-- Returns n of the keys whose time is over. Locks nothing.
SELECT count(*) AS n FROM {schema}.job_keys WHERE expires_at <= now()
