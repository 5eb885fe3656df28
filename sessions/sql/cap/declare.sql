-- Takes scopes, keys, periods, caps_usd (null: none of its own): arrays of equal length, and set_by. Sets what an agent's row says, where
-- nobody has said anything by hand, and removes it where that says nothing any more. Writes nothing where it stands so.
-- Why it is right when two race: they say the same, or the later one's agent is the newer; a run goes by what stands when it reserves.
WITH given AS (
    SELECT * FROM unnest(%(scopes)s::text[], %(keys)s::text[], %(periods)s::text[], %(caps_usd)s::numeric[])
        AS g (scope, key, period, cap_usd)
), removed AS (
    DELETE FROM {schema}.budget_caps AS c USING given AS g
    WHERE c.scope = g.scope AND c.key = g.key AND c.period = g.period AND g.cap_usd IS NULL AND NOT c.by_hand
)
INSERT INTO {schema}.budget_caps AS c (scope, key, period, cap_usd, by_hand, set_by)
SELECT scope, key, period, cap_usd, false, %(set_by)s FROM given WHERE cap_usd IS NOT NULL ORDER BY 1, 2, 3
ON CONFLICT (scope, key, period) DO UPDATE SET cap_usd = excluded.cap_usd, set_by = excluded.set_by, set_at = clock_timestamp()
WHERE NOT c.by_hand AND c.cap_usd <> excluded.cap_usd
