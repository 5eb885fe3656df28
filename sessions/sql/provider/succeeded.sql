-- A run got an answer while it was open: no failure before counts. Writes, and so locks, at most every ten seconds while all is well.
UPDATE {schema}.provider SET failures = 0, succeeded_at = clock_timestamp()
WHERE state = 'open' AND (failures > 0 OR coalesce(succeeded_at, '-infinity') < clock_timestamp() - interval '10 s')
