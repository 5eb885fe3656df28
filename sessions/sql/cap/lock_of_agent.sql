-- Takes agent. Locks the accounts that jobs wait for and that this agent's row may cap, its own and those of turns that it has worked
-- on, in the order of their ids. Returns id of each.
SELECT a.id FROM {schema}.budget_accounts AS a
WHERE a.id IN (SELECT account_id FROM {schema}.budget_waits WHERE event IS NOT NULL)
  AND ((a.scope = 'agent' AND a.key = %(agent)s)
       OR EXISTS (
           SELECT FROM {schema}.usage AS u
           WHERE u.agent = %(agent)s AND u.turn_id = CASE
               WHEN a.scope = 'turn' AND a.key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN a.key::uuid
           END
       ))
ORDER BY a.id FOR UPDATE OF a
