-- Takes keys and wanted (arrays of equal length: how many of its slots, at most), of a claim that locked its worker's row.
-- Returns key, slots, burst (null: it has no bucket), permits (in the bucket now), free: the numbers of free slots, which are
-- the caller's until its transaction ends; none of a key that is over its limit. No row for a key that is not made, or whose
-- bucket another claim has locked.
-- Locks the rows of keys with a bucket, then free slots, skipping what others have locked: it waits for nobody.
-- Why it is right when two of it race: a slot is one row, and whoever locks it first has it; one that was taken since this
-- statement's snapshot is looked at again under its lock and passed over. A bucket is read as it is under its lock.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest((SELECT %(keys)s::text[]), (SELECT %(wanted)s::bigint[])) AS g (key, wanted)
), bucket AS MATERIALIZED (
    SELECT l.key, l.slots, l.burst, {schema}.permits_at(l, clock_timestamp()) AS permits
    FROM {schema}.limits AS l
    WHERE l.key = ANY(ARRAY(SELECT key FROM given)) AND l.rate_per_s IS NOT NULL
    ORDER BY l.key
    FOR UPDATE SKIP LOCKED
), taken AS MATERIALIZED (
    SELECT s.key, s.n
    FROM given AS g
    JOIN {schema}.limits AS l ON l.key = g.key AND NOT l.over
    CROSS JOIN LATERAL (
        SELECT one.key, one.n FROM {schema}.limit_slots AS one
        WHERE one.key = g.key AND one.job_id IS NULL
        ORDER BY one.n
        LIMIT g.wanted
        FOR UPDATE SKIP LOCKED
    ) AS s
)
SELECT made.*, ARRAY(SELECT t.n FROM taken AS t WHERE t.key = made.key) AS free
FROM (
    SELECT key, slots, burst, permits FROM bucket
    UNION ALL
    SELECT l.key, l.slots, NULL, NULL FROM {schema}.limits AS l
    WHERE l.key = ANY(ARRAY(SELECT key FROM given)) AND l.rate_per_s IS NULL
) AS made
