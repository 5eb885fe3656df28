-- For tests. Takes id. Locks all jobs that nobody holds but this one, until the transaction ends: claims pass over them.
-- Returns n of them. What somebody else has locked is left alone, claims pass over that as well.
WITH others AS MATERIALIZED (
    SELECT id FROM {schema}.jobs WHERE id <> %(id)s AND worker_id IS NULL FOR UPDATE SKIP LOCKED
)
SELECT count(*) AS n FROM others
