-- Takes pid, begun. Ends that session if it is still in the transaction that began then, and returns ended; no row: it is not.
-- A pid that another session has by now is left alone.
SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
WHERE pid = %(pid)s AND xact_start = %(begun)s AND datname = current_database()
