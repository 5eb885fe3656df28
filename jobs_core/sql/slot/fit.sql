-- Takes keys, slots (arrays of equal length; null: the key has none), whose rows in limits and whose slots the caller has locked in
-- statements before this one (slot/lock). Makes each key's slots as many as it says. Those that are held count first, and
-- stay: where there are more of them than that, the key is marked as over its limit, and no claim takes a slot of it, however many
-- are freed, until it was fitted again.
-- Right against claims: they take what is free and not locked. Right against another of it: both need the key's row in limits.
WITH given AS MATERIALIZED (
    SELECT key, coalesce(slots, 0) AS slots FROM unnest(%(keys)s::text[], %(slots)s::integer[]) AS g (key, slots)
), there AS MATERIALIZED (
    SELECT given.key, given.slots, count(s.n)::integer AS n, count(s.job_id) AS held, coalesce(max(s.n), 0) AS last
    FROM given LEFT JOIN {schema}.limit_slots AS s ON s.key = given.key
    GROUP BY given.key, given.slots
), gone AS (
    DELETE FROM {schema}.limit_slots AS s
    USING (
        SELECT free.key, free.n, row_number() OVER (PARTITION BY free.key ORDER BY free.n) AS nth
        FROM {schema}.limit_slots AS free JOIN there USING (key)
        WHERE free.job_id IS NULL
    ) AS free
    JOIN there USING (key)
    WHERE s.key = free.key AND s.n = free.n AND free.nth <= there.n - there.slots
), added AS (
    INSERT INTO {schema}.limit_slots (key, n)
    SELECT key, last + more FROM there CROSS JOIN generate_series(1, there.slots - there.n) AS more
)
UPDATE {schema}.limits AS l SET over = there.held > there.slots
FROM there WHERE l.key = there.key AND l.over <> (there.held > there.slots)
