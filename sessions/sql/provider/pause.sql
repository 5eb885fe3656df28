-- Takes state (paused, stopped), reason, delay_s, pauses. Lets nobody try for so long; whoever probed has done so. `since` stays while
-- the state does. The caller holds the row (provider/lock). Returns until.
UPDATE {schema}.provider
SET since = CASE WHEN state = %(state)s THEN since ELSE clock_timestamp() END, state = %(state)s, reason = %(reason)s,
    until = clock_timestamp() + make_interval(secs => %(delay_s)s), pauses = %(pauses)s, failures = 0,
    prober_job = NULL, prober_token = NULL
RETURNING until
