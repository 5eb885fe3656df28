-- Takes batch. Returns lane of due jobs that have not joined their lane yet, sorted. Locks nothing: lane/lock and job/join
-- follow, and look again.
SELECT DISTINCT lane FROM (
    SELECT lane FROM {schema}.jobs
    WHERE ready_seq IS NULL AND state = 'pending' AND scheduled_for <= now()
      AND lane IS NOT NULL AND lane_pos IS NULL
    ORDER BY scheduled_for
    LIMIT %(batch)s
) AS due
ORDER BY lane
