-- Marks workers dead whose lease ran out. Returns id, host, pid of each.
-- Locks their rows: one that is locked now claims or renews, and is left for the next round; the update looks again at a row
-- that was renewed since. Not in the first lease after Postgres came up: an outage lets every lease run out at once, and
-- the workers behind them may be well.
WITH expired AS MATERIALIZED (
    SELECT id FROM {schema}.workers
    WHERE dead_at IS NULL AND expires_at < clock_timestamp()
      AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => lease_s)
    FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.workers AS w SET dead_at = clock_timestamp()
FROM expired WHERE w.id = expired.id
RETURNING w.id, w.host, w.pid
