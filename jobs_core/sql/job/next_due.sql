-- Returns wait_s: seconds until the next job falls due (0 or less: now), null when none waits for a time.
SELECT extract(epoch FROM min(scheduled_for) - clock_timestamp())::double precision AS wait_s
FROM {schema}.jobs WHERE ready_seq IS NULL AND state = 'pending'
