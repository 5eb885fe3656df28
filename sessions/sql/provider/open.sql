-- It answers. The caller holds the row (provider/lock).
UPDATE {schema}.provider
SET since = CASE WHEN state = 'open' THEN since ELSE clock_timestamp() END, state = 'open', reason = NULL, until = NULL,
    pauses = 0, failures = 0, succeeded_at = clock_timestamp(), prober_job = NULL, prober_token = NULL
