-- Takes name. Touches the source's row where its last alarm is an hour old, or there was none. Of two at once one does.
UPDATE {schema}.webhook_sources SET alarmed_at = clock_timestamp()
WHERE name = %(name)s AND (alarmed_at IS NULL OR alarmed_at < clock_timestamp() - interval '1 hour')
