-- Takes id, token. Returns one row while that claim holds the job, none when it does not.
-- Locks the job FOR SHARE until the caller's transaction ends: a takeover, which updates the row, waits for it. A plain look
-- or FOR KEY SHARE would let it commit in between.
SELECT FROM {schema}.jobs
WHERE id = %(id)s AND token = %(token)s AND state NOT IN ('pending', 'blocked', 'waiting')
FOR SHARE
