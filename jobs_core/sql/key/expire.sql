-- Takes batch. Deletes at most that many keys whose time was over when the transaction began; touches a row for each. Locks them;
-- those that a create is taking over are passed by. Found by their places, or all keys would be read to delete a few; and by
-- now(), not clock_timestamp(), which no index can be asked for.
DELETE FROM {schema}.job_keys WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM {schema}.job_keys
    WHERE expires_at <= now()
    ORDER BY expires_at
    LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
))
