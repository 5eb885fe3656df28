-- Takes days. Deletes the caps that agents' rows set for single turns, when these have no account (any more) and are as old.
DELETE FROM {schema}.budget_caps AS c
WHERE c.scope = 'turn' AND c.key <> '*' AND NOT c.by_hand AND c.set_at < clock_timestamp() - make_interval(days => %(days)s)
  AND NOT EXISTS (SELECT FROM {schema}.budget_accounts AS a WHERE a.scope = 'turn' AND a.key = c.key)
