-- Returns listeners: how many sessions of this database are a worker's that listens. Locks nothing.
SELECT count(*) AS listeners FROM pg_stat_activity
WHERE datname = current_database() AND application_name ~ '^jobs (worker|telegram).* listen$'
