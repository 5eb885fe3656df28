-- Takes scope, key (null, both: all of them). Returns, of caps and of accounts of this moment's periods, or that jobs wait for: scope,
-- key, period, cap_usd (null: none), by_hand, set_by (of its own cap, null: it stands under its scope's default), id of the account
-- (null: nobody has spent anything yet) and its amounts. Without a key the accounts under a default are left out, and caps of single
-- turns that agents' rows set, but for those that jobs wait for: there is one for each turn, so none of it begins with all accounts.
-- Locks nothing.
WITH named AS MATERIALIZED (
    SELECT scope, key, period FROM {schema}.budget_caps
    WHERE CASE WHEN %(scope)s::text IS NULL THEN by_hand OR scope <> 'turn' OR key = '*'
               ELSE scope = %(scope)s AND key = %(key)s END
), wanted AS MATERIALIZED (
    SELECT a.id FROM {schema}.budget_accounts AS a
    WHERE a.scope = %(scope)s AND a.key = %(key)s AND a.starts_on = {schema}.budget_start(a.period)
    UNION
    SELECT a.id FROM named AS n
    JOIN {schema}.budget_accounts AS a
      ON a.scope = n.scope AND a.key = n.key AND a.period = n.period AND a.starts_on = {schema}.budget_start(n.period)
    UNION
    SELECT a.id FROM {schema}.budget_waits AS w JOIN {schema}.budget_accounts AS a ON a.id = w.account_id
    WHERE w.event IS NOT NULL AND (%(scope)s::text IS NULL OR (a.scope = %(scope)s AND a.key = %(key)s))
), accounts AS (
    SELECT b.* FROM {schema}.budget_balances AS b WHERE b.id IN (SELECT id FROM wanted)
), caps AS (
    SELECT c.* FROM {schema}.budget_caps AS c
    WHERE (c.scope, c.key, c.period) IN (SELECT scope, key, period FROM named UNION SELECT scope, key, period FROM accounts)
)
SELECT scope, key, period, coalesce(c.cap_usd, a.cap_usd) AS cap_usd, c.by_hand, c.set_by, a.id, a.ends_at,
       coalesce(a.raised_usd, 0) AS raised_usd, coalesce(a.spent_usd, 0) AS spent_usd, coalesce(a.reserved_usd, 0) AS reserved_usd
FROM caps AS c FULL JOIN accounts AS a USING (scope, key, period)
ORDER BY array_position(ARRAY['day', 'turn', 'job', 'chat', 'user', 'project', 'agent'], scope), key, period, a.starts_on
