-- Takes scope, key (null, both: all of them). Returns, of caps and of accounts of this moment's periods, or that jobs wait for: scope,
-- key, period, cap_usd (null: none), by_hand, set_by (of its own cap, null: it stands under its scope's default), id of the account
-- (null: nobody has spent anything yet) and its amounts. Without a key the accounts under a default are left out, and caps of single
-- turns that agents' rows set, but for those that jobs wait for: there is one for each turn. Locks nothing.
WITH accounts AS (
    SELECT b.* FROM {schema}.budget_balances AS b
    WHERE (%(scope)s::text IS NULL OR (b.scope = %(scope)s AND b.key = %(key)s))
      AND (b.starts_on = {schema}.budget_start(b.period)
           OR EXISTS (SELECT FROM {schema}.budget_waits AS w WHERE w.account_id = b.id AND w.event IS NOT NULL))
), caps AS (
    SELECT * FROM {schema}.budget_caps
    WHERE %(scope)s::text IS NULL OR (scope = %(scope)s AND key = %(key)s)
)
SELECT scope, key, period, coalesce(c.cap_usd, a.cap_usd) AS cap_usd, c.by_hand, c.set_by, a.id, a.ends_at,
       coalesce(a.raised_usd, 0) AS raised_usd, coalesce(a.spent_usd, 0) AS spent_usd, coalesce(a.reserved_usd, 0) AS reserved_usd
FROM caps AS c FULL JOIN accounts AS a USING (scope, key, period)
WHERE %(scope)s::text IS NOT NULL OR (c.scope IS NOT NULL AND (c.by_hand OR scope <> 'turn' OR key = '*'))
   OR EXISTS (SELECT FROM {schema}.budget_waits AS w WHERE w.account_id = a.id AND w.event IS NOT NULL)
ORDER BY array_position(ARRAY['day', 'turn', 'job', 'chat', 'user', 'project', 'agent'], scope), key, period, a.starts_on
