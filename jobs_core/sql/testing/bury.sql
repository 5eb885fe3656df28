-- For tests. worker/bury without its wait for the first lease after Postgres came up: the time that a test lets pass has moved
-- no postmaster. Touches the workers whose lease ran out. Locks their rows.
UPDATE {schema}.workers SET dead_at = clock_timestamp() WHERE dead_at IS NULL AND expires_at < clock_timestamp()
