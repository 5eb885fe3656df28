-- Takes keep_s. Deletes keys that were not served for so long. Reads them all, once an hour; locks what it deletes, passing over
-- what claims have locked.
DELETE FROM {schema}.fair_keys WHERE (queue, job_type, priority, key) IN (
    SELECT queue, job_type, priority, key FROM {schema}.fair_keys
    WHERE served_at < clock_timestamp() - make_interval(secs => %(keep_s)s)
    FOR UPDATE SKIP LOCKED
)
