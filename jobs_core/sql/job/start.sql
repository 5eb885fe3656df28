-- Takes id, token. Touches one row, or none: the lease is lost.
-- Locks the job. Fenced by token; a job put back keeps its token, so its state is looked at too. The predicate implies no
-- partial index, so that the row is found by its primary key and never through dead entries.
UPDATE {schema}.jobs SET state = 'running', started_at = clock_timestamp()
WHERE id = %(id)s AND token = %(token)s AND state NOT IN ('pending', 'blocked', 'waiting')
