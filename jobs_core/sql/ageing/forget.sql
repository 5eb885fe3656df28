-- Takes keep_s. Deletes what was noted longer ago.
DELETE FROM {schema}.ready_times WHERE at < clock_timestamp() - make_interval(secs => %(keep_s)s)
