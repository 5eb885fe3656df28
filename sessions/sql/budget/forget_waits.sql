-- Deletes the notes of jobs that waited and have ended meanwhile, as by a cancel: nobody tells such a job, and its account would be kept
-- for good. Locks them, skipping those that somebody holds: who tells several accounts' jobs goes by another order.
DELETE FROM {schema}.budget_waits WHERE job_id IN (
    SELECT w.job_id FROM {schema}.budget_waits AS w
    WHERE NOT EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.id = w.job_id)
    FOR UPDATE OF w SKIP LOCKED
)
