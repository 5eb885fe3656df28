-- Takes worker_id. The worker says itself that it runs nothing any more: what it still holds can be taken at once.
UPDATE {schema}.workers SET dead_at = clock_timestamp() WHERE id = %(worker_id)s AND dead_at IS NULL
