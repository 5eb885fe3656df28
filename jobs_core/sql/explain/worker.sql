-- Takes id. Returns host, pid of a worker, and silent_s: for how many seconds its lease has been over, 0 or less while it is good.
SELECT host, pid, extract(epoch FROM clock_timestamp() - expires_at)::double precision AS silent_s, dead_at
FROM {schema}.workers WHERE id = %(id)s
