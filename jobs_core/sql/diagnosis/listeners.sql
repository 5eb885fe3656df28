-- Returns listeners: how many sessions of this database are there for a worker to listen (Database.connect names them). Locks nothing.
SELECT count(*) AS listeners FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE '% listen'
