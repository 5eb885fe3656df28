-- Takes nothing. Returns n, oldest_s: schedules that are due, and for how long the first of them has been. Locks nothing.
SELECT count(*) AS n, coalesce(extract(epoch FROM now() - min(next_at)), 0)::double precision AS oldest_s
FROM {schema}.schedules WHERE next_at <= now()
