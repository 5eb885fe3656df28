-- Takes keep_s, batch. Deletes events that were made longer ago than that and that no job waits for.
DELETE FROM {schema}.events WHERE name IN (
    SELECT name FROM {schema}.events AS e
    WHERE made_at < clock_timestamp() - make_interval(secs => %(keep_s)s)
      AND NOT EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.wait_event = e.name)
    ORDER BY made_at LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
)
