-- Takes keys, slots (arrays of equal length; null: the key has none), whose slots the caller has locked in a statement before
-- this one (slot/lock). Makes each key's slots as many as it says. Those that are held count first, and stay while they are held:
-- where there are more of them than the limit now says, they are surplus, and gone once they are freed.
-- Right against claims: they take what is free and not locked. Right against another of it: both need the key's row in limits.
WITH given AS MATERIALIZED (
    SELECT key, coalesce(slots, 0) AS slots FROM unnest(%(keys)s::text[], %(slots)s::integer[]) AS g (key, slots)
), ranked AS MATERIALIZED (
    SELECT s.key, s.n, s.job_id, s.surplus,
           row_number() OVER (PARTITION BY s.key ORDER BY s.job_id IS NULL, s.n) > given.slots AS above
    FROM {schema}.limit_slots AS s JOIN given USING (key)
), marked AS (
    UPDATE {schema}.limit_slots AS s SET surplus = r.above
    FROM ranked AS r WHERE s.key = r.key AND s.n = r.n AND r.surplus <> r.above AND r.job_id IS NOT NULL
), gone AS (
    DELETE FROM {schema}.limit_slots AS s USING ranked AS r WHERE s.key = r.key AND s.n = r.n AND r.above AND r.job_id IS NULL
)
INSERT INTO {schema}.limit_slots (key, n)
SELECT given.key, there.last + more
FROM given
CROSS JOIN LATERAL (SELECT count(*) AS n, coalesce(max(r.n), 0) AS last FROM ranked AS r WHERE r.key = given.key) AS there
CROSS JOIN generate_series(1, given.slots - there.n::integer) AS more
