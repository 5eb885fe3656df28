-- Deletes the times of pauses that ended before the last claim of every living job: no give_up_at will move on by them any more.
-- A claim that is under way shows its job's former claimed_at here, so that what it is about to count stays. Reads all living jobs,
-- but only where there is such a time at all.
DELETE FROM {schema}.paused_times
WHERE ended_at < (SELECT coalesce(min(claimed_at), clock_timestamp()) FROM {schema}.jobs)
